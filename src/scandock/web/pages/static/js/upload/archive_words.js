// What a row says of an archive as a whole: how much is in it, as far as that is known.

import { plural } from "../live/figures.js";
import { NO_IMAGE, NONE_READABLE } from "../states.js";
import { shown } from "./names.js";

const PACKINGS = ["bzip2", "xz", "zstd"]; // which only the server opens

/** The packing that keeps this browser from looking into an archive, or one within it; "" for none. */
export const packingOf = ({ problems = [] }) => problems.find((problem) => PACKINGS.includes(problem)) ?? "";

/** Whether an archive was opened, so that numbers of its files say something. */
export const wasOpened = ({ decisions, found }) => !found.problems?.includes("encrypted") && (decisions.length > 0 || packingOf(found) === "");

/** Why nothing of an archive can be stored, by what was counted in it; "" where something can. */
export function emptyWords({ images, unsure, unparseable }) {
  if (images > 0 || unsure > 0) return "";
  return unparseable > 0 ? NONE_READABLE : NO_IMAGE;
}

/** Why an archive with damaged entries can't be sent: the server refuses it whole. */
export function damagedWords([name, ...others]) {
  const are = others.length ? ` and ${plural(others.length, "other file")} in it are` : " in it is";
  return `The server would refuse it: ${shown(name)}${are} damaged. Make the archive again.`;
}

/** What an archive of several studies has: by what was found in it, else by what the server tells of its sessions. */
export function insideOf(pick) {
  if (pick.found) return inside(pick);
  const studies = (pick.transfer?.import?.sessions ?? []).map(({ study }) => study).filter(Boolean);
  if (!studies.length) return "";
  const sum = (of) => studies.reduce((all, one) => all + of(one), 0);
  const patients = new Set(studies.map((one, at) => one.patient_id || one.patient_name || at));
  const [images, files] = [sum((one) => one.images), sum((one) => one.files)];
  return [
    plural(patients.size, "patient"),
    plural(studies.length, "study", "studies"),
    plural(sum((one) => one.scans), "scan"),
    plural(images, "image") + (images === files ? "" : ` in ${plural(files, "file")}`),
  ].join(", ");
}

/** "2 patients, 3 studies, 12 scans, 480 images", or "... 480 images in 20 files" where files have many. */
function inside({ decisions, found }) {
  if (!decisions.length) {
    if (found.refused || found.failed || !wasOpened({ decisions, found })) return "";
    return `${plural(found.read, "file")}, no image${found.counts.unparseable ? " that can be read" : ""}`;
  }
  const patients = new Set(decisions.map((one) => one.naming.patients.commonId || one.study.common("PatientName") || one.study.key));
  const scans = decisions.reduce((sum, { study }) => sum + study.series.length + study.ecat.length, 0);
  return [
    plural(patients.size, "patient"),
    plural(decisions.length, "study", "studies"),
    plural(scans, "scan"),
    images(decisions, found.counts.images),
  ].join(", ");
}

function images(decisions, files) {
  const frames = decisions.reduce((sum, { study }) => sum + study.frames - study.objects, files);
  return plural(frames, "image") + (frames === files ? "" : ` in ${plural(files, "file")}`);
}
