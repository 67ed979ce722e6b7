// Equal warnings of all that is on the list, each told once, with how many rows it is about: what stops something first.

import { plural } from "../live/figures.js";
import { clashes } from "./clashes.js";
import { shown } from "./names.js";
import { notesOf } from "./notes.js";
import { options } from "./options.js";

const LABELS = ["label_many_studies", "label_taken", "meets_named"]; // told as one: they share a label
const ORDER = ["stop", "held", "warn"];
const studies = (n) => plural(n, "study", "studies");
const sessions = (n) => plural(n, "session");
const their = (n) => (n === 1 ? "its" : "their");

/** By code: what is said of `n` sessions that have a note of it. */
const WORDS = {
  labels: (n) => (n === 1 ? "1 session has the label of another and will be held for review" : `${sessions(n)} share a label and will be held for review`),
  subject_many_patients: (n) => `${sessions(n)} give one subject to several patients and will be held for review`,
  patient_mismatch: (n) => `${sessions(n)} with images of several PatientIDs will be held for review`,
  study_elsewhere: (n) => `${sessions(n)} ${n === 1 ? "is" : "are"} on the server under another label and will be held for review`,
  subject_differs: (n) => `${sessions(n)} ${n === 1 ? "is" : "are"} on the server under another subject and will be held for review`,
  left_alone: (n) => `${sessions(n)} ${n === 1 ? "is" : "are"} archived already and will be held for review`,
  meets_derived: (n) => `${sessions(n)} share a label with another archive: the later ones get a suffix`,
  meets_both: (n) => `${sessions(n)} share a label with another archive: the first to arrive gets it`,
  study_twice: (n) => `${studies(n)} in several archives: equal files are stored once`,
  label_suffixed: (n) => `${sessions(n)} shared a label: a date or hash tells them apart`,
  label_own_id: (n) => `${sessions(n)} had a label in the form of this server's own ids: a date or hash makes it another`,
  label_from_hash: (n) => `${sessions(n)} ${n === 1 ? "is" : "are"} named by nothing and called after a hash of ${their(n)} UID`,
  subjects_told_apart: (n) => `${sessions(n)} of several patients with one subject: a hash tells them apart`,
  subject_other_patient: (n) => `${sessions(n)} whose comments give one subject to several patients`,
  patient_many_subjects: (n) => `${sessions(n)} of patients with several subjects in this upload`,
  ecat_elsewhere: (n) => `${sessions(n)} with ECAT files that another session of this upload has too`,
  patient_elsewhere: (n) => `${sessions(n)} of patients with another subject in the project`,
  stays_waiting: (n) => `${sessions(n)} of which a part waits in the prearchive: that stays there`,
  beside_waiting: (n) => `${sessions(n)} of which a part is held for review already: what comes will be held beside it`,
  ecat_stored: (n) => `${sessions(n)} with ECAT files that are archived already`,
  unassigned: (n) => `${studies(n)} ${n === 1 ? "names" : "name"} no project that you may upload to and ${n === 1 ? "goes" : "go"} to Unassigned`,
};

/** [{kind, code, words, rows}] of archives that are not sent yet; `rows` are the keys of the rows that it is about
 * (`rowKey`), `kind` is "stop" (it will not be uploaded, or be refused as a whole), "held" or "warn". */
export function warningsOf(picks) {
  const groups = new Map();
  const add = (kind, code, row, words = "") => {
    const group = groups.get(code) ?? { kind, code, words, rows: [] };
    groups.set(code, group);
    group.rows.push(row);
  };
  for (const pick of picks) {
    const { problem } = pick;
    if (problem) add("stop", problem, rowKey(pick), `will not be uploaded. ${problem}`);
    else if (isRefusedWhole(pick)) add("stop", "unparseable", rowKey(pick), "will be refused: a file that should be an image can't be read, and “Ignore unparseable files” is off.");
    if (problem) continue;
    for (const one of pick.taken) {
      const codes = new Map(notesOf(one).filter(([kind]) => kind !== "there").map(([kind, , , code]) => [LABELS.includes(code) ? "labels" : code, kind]));
      for (const [code, kind] of codes) add(kind, code, rowKey(pick, one.study.key));
    }
  }
  const counted = [...groups.values()].map((group) => ({ ...group, words: wordsOf(group, picks) }));
  return counted.sort((one, other) => ORDER.indexOf(one.kind) - ORDER.indexOf(other.kind));
}

function wordsOf({ kind, code, words, rows }, picks) {
  if (kind !== "stop") return `${WORDS[code](code === "labels" ? clashes().labels || rows.length : rows.length)}.`;
  if (rows.length > 1) return `${plural(rows.length, "archive")} ${words}`;
  return `${shown(picks.find((pick) => rowKey(pick) === rows[0]).name)} ${words}`;
}

/** By what a row is known across the list: an archive's, or that of a study in it. */
export const rowKey = (pick, study = "") => `${pick.id} ${study}`;

/** Whether the choices let a file that can't be read refuse the whole archive. */
export const isRefusedWhole = ({ found }) => !options.ignore && (found?.counts?.unparseable ?? 0) > 0;
