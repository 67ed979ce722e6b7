// What is said beside a study: how it got its name, and what a person should know before it is sent.

import { already } from "./already.js";
import { knownOf } from "./known.js";
import { UNASSIGNED } from "./labels.js";
import { meeting } from "./meeting.js";
import { shown } from "./names.js";

const HELD = {
  label_many_studies: "This label is given to several studies: each will be held for review.",
  subject_many_patients: "This subject is given to several patients: their sessions will be held for review.",
  patient_mismatch: "It has images of several PatientIDs: it will be held for review.",
};
const WARNED = {
  label_suffixed: "Several studies had this label; a date or hash tells them apart.",
  label_own_id: "Its label had the form of this server's own ids; a date or hash makes it another.",
  label_from_hash: "Nothing names it: it is called after a hash of its UID.",
  subjects_told_apart: "Several patients had this subject; a hash tells them apart.",
  subject_other_patient: "The comments give this subject to several patients.",
  patient_many_subjects: "Its PatientID has several subjects in this upload.",
  ecat_elsewhere: "ECAT files of it are in another session of this upload too.",
};

/** [kind, sentence, soft, code] of each note; kind is "held", "warn" or "there". A soft one holds all but one of several
 * studies. By its code equal notes are counted together.
 */
export function notesOf(one) {
  if (one.leftOut) return [];
  const notes = one.held.map((code) => ["held", HELD[code], false, code]);
  if (one.meets) notes.push(meeting(one));
  if (one.also) notes.push(["warn", `${shown(one.also)} has this study too: equal files are stored once.`, false, "study_twice"]);
  const known = knownOf(one);
  if (known !== undefined) notes.push(...already(one, known));
  for (const code of new Set(one.warnings)) if (WARNED[code]) notes.push(["warn", WARNED[code], false, code]);
  if (one.project === UNASSIGNED) notes.push(["warn", "It names no project that you may upload to: it goes to Unassigned.", false, "unassigned"]);
  return notes;
}
