// PET and MR of one study as two sessions; as src/scandock/rules/petmr.py and study_sides.py.

import { fit } from "./labels.js";
import { mostCommon } from "./study.js";

const MAPS = { mrac: /MRAC/, ac: /MRAC|_AC(?![A-Za-z0-9])/i };

/** The sides of a study, ["MR", "PET"] or one of them; none where it has neither PET nor MR. */
export function sidesOf(study, words = "mrac") {
  if (study.uid === null) return [];
  const scans = study.series.map(({ values }) => ({ modality: common(values.Modality), about: common(values.SeriesDescription) }));
  const isMap = ({ modality, about }) => modality === "MR" && MAPS[words].test(about);
  const hasPet = study.ecat.length > 0 || scans.some(({ modality }) => modality === "PT");
  const hasMr = scans.some((scan) => scan.modality === "MR" && !isMap(scan));
  if (hasMr) return hasPet ? ["MR", "PET"] : ["MR"];
  return hasPet || scans.some(isMap) ? ["PET"] : [];
}

const common = (votes) => mostCommon([...(votes ?? [])].filter(([text]) => text));

/** The label of one side of a session. */
export function sideLabel(label, side) {
  if (label.includes("PETMR")) return label.replaceAll("PETMR", side);
  if (label.includes("petmr")) return label.replaceAll("petmr", side.toLowerCase());
  return fit(label, `_${side}`);
}
