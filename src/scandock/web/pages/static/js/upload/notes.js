// What is said beside a study: how it got its name, and what a person should know before it is sent.

import { already } from "./already.js";
import { knownOf } from "./known.js";
import { UNASSIGNED } from "./labels.js";
import { meeting } from "./meeting.js";

const HELD = {
  label_many_studies: "This label is given to several studies: each will wait in the prearchive for a decision.",
  subject_many_patients: "This subject is given to several patients: their sessions will wait for a decision.",
  patient_mismatch: "It has images of several patient ids: it will wait in the prearchive for a decision.",
};
const WARNED = {
  label_suffixed: "Several studies had this label; a date or hash tells them apart.",
  label_own_id: "Its label had the form of this server's own ids; a date or hash makes it another.",
  label_from_hash: "Nothing names it: it is called after a hash of its UID.",
  subjects_told_apart: "Several patients had this subject; a hash tells them apart.",
  subject_other_patient: "The comments give this subject to several patients.",
  patient_many_subjects: "Its patient id has several subjects in this upload.",
  ecat_elsewhere: "ECAT files of it are in another session of this upload too.",
};

/** [kind, sentence, soft] of each note; kind is "held", "warn", "there" or "". A soft one alone opens no table: it stands
 * at many studies alike, or holds all but one of several.
 */
export function notesOf(one) {
  if (one.leftOut) return [["", "Left out: it travels with the archive, and nothing of it is stored."]];
  const notes = one.held.map((code) => ["held", HELD[code]]);
  if (one.meets) notes.push(meeting(one));
  const known = knownOf(one);
  if (known !== undefined) notes.push(...already(one, known));
  for (const code of new Set(one.warnings)) if (WARNED[code]) notes.push(["warn", WARNED[code]]);
  if (one.project === UNASSIGNED) notes.push(["warn", "No project is found for it: it goes to Unassigned.", true]);
  return notes;
}
