// What a row says of its study: the same by what was read on this machine, and by what the server tells of its session.

import { number, plural } from "../live/figures.js";
import { person, shown } from "./names.js";

const NOT_SHOWN = "not shown"; // the patient of a session that is deleted, refused or out of sight
const SEVERAL = "several patients"; // of a study whose images have different patient IDs and names
const known = new WeakMap(); // words by study

/** {patient, ids, study, modalities, icon, date, scans, images} of a decision. */
export function wordsOf({ study, naming }) {
  if (!known.has(study)) known.set(study, wordsFor(factsOf(study, naming)));
  const words = known.get(study);
  const isMixed = naming.patients.ids.length > 1 && study.counts("PatientName").size !== 1;
  return isMixed ? { ...words, patient: SEVERAL, ids: "" } : words;
}

/** The same of a session that no study was found for on this machine. */
export function wordsOfOutcome({ study_uid: uid, study, code }) {
  if (!study) return { ...wordsFor(NOTHING), patient: NOT_SHOWN, study: uid ? `Study ${shown(uid)}` : "Study", scans: "", images: "" };
  const isSeen = [study.patient_name, study.patient_id, study.description, study.date].some(Boolean);
  const words = wordsFor({
    name: study.patient_name ?? "",
    id: study.patient_id ?? "",
    birth: study.birth_date ?? "",
    description: study.description ?? "",
    date: study.date ?? "",
    modalities: study.modalities,
    scans: study.scans,
    images: study.images,
    files: study.files,
  });
  if (isSeen && code === "patient_mismatch" && !study.patient_name && !study.patient_id) return { ...words, patient: SEVERAL, ids: "" };
  return isSeen ? words : { ...words, patient: NOT_SHOWN };
}

const NOTHING = { name: "", id: "", birth: "", description: "", date: "", modalities: [], scans: 0, images: 0, files: 0 };

function factsOf(study, naming) {
  const [birth = ""] = study.counts("PatientBirthDate").keys();
  return {
    name: study.common("PatientName"),
    id: naming.patients.commonId || study.common("PatientID"),
    birth,
    description: study.description,
    date: study.date,
    modalities: [...new Set([...study.counts("Modality").keys(), ...(study.ecat.length ? ["ECAT"] : [])])].sort(),
    scans: study.series.length + study.ecat.length,
    images: study.frames,
    files: study.objects,
  };
}

function wordsFor({ name: raw, id: rawId, birth, description, date, modalities, scans, images, files }) {
  const [name, id, day] = [person(raw), shown(rawId), dayOf(date)];
  return {
    study: shown(description) || (day ? `Study of ${day}` : "Study"),
    modalities: modalities.map(shown).join(", "),
    icon: shown(modalities[0] ?? "").slice(0, 4),
    date: day,
    patient: name || id || "no name",
    ids: [name && id ? id : "", birth ? `born ${dayOf(shown(birth))}` : ""].filter(Boolean).join(" · "),
    scans: number(scans),
    images: number(images) + (images === files ? "" : ` in ${plural(files, "file")}`),
  };
}

const dayOf = (text) => text.replace(/^(\d{4})(\d\d)(\d\d)$/, "$1-$2-$3");
