// What is said beside a study: how it got its name, and what a person should know before it is sent.

import { number } from "../live/figures.js";
import { knownOf } from "./known.js";
import { fold, UNASSIGNED } from "./labels.js";
import { options } from "./options.js";

const HELD = {
  label_many_studies: "This label is given to several studies: each will wait in the prearchive for a decision.",
  subject_many_patients: "This subject is given to several patients: their sessions will wait for a decision.",
  patient_mismatch: "It has images of several patient ids: it will wait in the prearchive for a decision.",
};
const WARNED = {
  label_suffixed: "Several studies had this label; a date or hash tells them apart.",
  label_from_hash: "Nothing names it: it is called after a hash of its UID.",
  subjects_told_apart: "Several patients had this subject; a hash tells them apart.",
  subject_other_patient: "The comments give this subject to several patients.",
};

/** [kind, sentence] of each note; kind is "held", "warn", "there" or "". */
export function notesOf(one) {
  if (one.leftOut) return [["", "Left out: it travels with the archive, and nothing of it is stored."]];
  const notes = one.held.map((code) => ["held", HELD[code]]);
  if (one.meets) notes.push(["warn", `${one.meets} brings another study with this label.`]);
  notes.push(...there(one));
  for (const code of one.warnings) if (WARNED[code]) notes.push(["warn", WARNED[code]]);
  if (one.project === UNASSIGNED) notes.push(["warn", "No project is found for it: it goes to Unassigned."]);
  return notes;
}

/** What the server has of it already. */
function there(one) {
  const known = knownOf(one);
  if (known === undefined) return [];
  const requested = one.naming.session.requested;
  const { label, study } = known;
  const place = (session) => (session.place === "archive" ? "archived" : "in the prearchive");
  if (study && fold(study.label) !== fold(one.label)) {
    if (!requested) return [["there", `This study is ${place(study)} as ${study.label}: it goes there.`]];
    return study.place === "archive" || options.destination === "prearchive"
      ? [["held", `This study is ${place(study)} as ${study.label}: under another label it will wait for a decision.`]]
      : [];
  }
  if (label && one.study.uid !== null && label.study_uid && label.study_uid !== one.study.uid) {
    return requested
      ? [["held", `${label.label} is ${place(label)} with another study: this one will wait for a decision.`]]
      : [["there", `${label.label} is ${place(label)} with another study: this one gets a suffix.`]];
  }
  if (label) return [["there", `${label.label} is ${place(label)} already: ${joins()}`]];
  return [];
}

function joins() {
  if (options.overwrite === "none") return "what comes will wait for a decision.";
  if (options.overwrite === "delete") return "images take the place of those with the same UID.";
  return "what is new is added.";
}

/** Names and dates in the headers of the studies that will be sent, in a sentence. */
export function leaving(decisions) {
  const of = (keyword) => new Set(decisions.flatMap((one) => [...one.study.counts(keyword).keys()]));
  const names = [...of("PatientName")].filter((name) => name.replace(/[\s^=]/g, ""));
  const births = [...of("PatientBirthDate")];
  if (!names.length && !births.length) return "The headers that were read name no patient and no birth date.";
  const shown = names.slice(0, 3).map((name) => name.replace(/[\^=]+/g, " ").trim());
  const people = names.length ? `${number(names.length)} patient ${names.length === 1 ? "name" : "names"} (${shown.join("; ")}${names.length > 3 ? " …" : ""})` : "";
  const dates = births.length ? `${number(births.length)} birth ${births.length === 1 ? "date" : "dates"}` : "";
  return `${[people, dates].filter(Boolean).join(" and ")} will leave this machine in the headers of the images.`;
}
