// Equal warnings of all that is on the list, each once, with how many rows it is about: what stops something first.

import { plural } from "../live/figures.js";
import { isRefusedWhole } from "./forecast.js";
import { shown } from "./names.js";

const LABELS = ["label_many_studies", "label_taken"]; // counted as one: they share a label
const ORDER = ["stop", "held", "warn"];
const studies = (n) => plural(n, "study", "studies");
const sessions = (n) => plural(n, "session");
const are = (n) => (n === 1 ? "is" : "are");

/** By code: what is said of `n` sessions that have a note of it. */
const WORDS = {
  labels: (n) => (n === 1 ? "1 session has the label of another and will be held for review" : `${sessions(n)} share a label with another and will be held for review`),
  subject_many_patients: (n) => `${sessions(n)} give one subject to several patients and will be held for review`,
  patient_mismatch: (n) => `${sessions(n)} with images of several patient IDs will be held for review`,
  study_elsewhere: (n) => `${sessions(n)} ${n === 1 ? "has" : "have"} a study with another label already and will be held for review`,
  subject_differs: (n) => `${sessions(n)} ${n === 1 ? "belongs" : "belong"} to another subject already and will be held for review`,
  left_alone: (n) => `${sessions(n)} ${are(n)} archived already and will be held for review`,
  meets_derived: (n) => `${sessions(n)} ${n === 1 ? "shares" : "share"} a label with another archive: each gets a label of its own, all but one with a suffix`,
  study_twice: (n) => `${studies(n)} in several archives: equal files are stored once`,
  images_twice: (n) => `${studies(n)} with images that other archives have too: identical ones are stored once, others are held for review`,
  images_replaced: (n) => `${studies(n)} with images that other archives have too: of those that differ the ones imported last stay`,
  label_suffixed: (n) => `${sessions(n)} shared a label: a date or code was added to tell them apart`,
  label_own_id: (n) => `${sessions(n)} had a label that looks like an ID of this server: a date or code was added`,
  label_from_hash: (n) => `${sessions(n)} without a patient ID: ${n === 1 ? "its label is a generated code" : "their labels are generated codes"}`,
  subjects_told_apart: (n) => `${sessions(n)} of several patients had one subject: a code was added to tell them apart`,
  subject_apart: (n) => `${sessions(n)} whose subject is another patient's already: a code was added to tell them apart`,
  subject_other_patient: (n) => `${sessions(n)} whose comments give one subject to several patients`,
  patient_many_subjects: (n) => `${sessions(n)} of patients with several subjects in this upload`,
  ecat_elsewhere: (n) => `${sessions(n)} with ECAT files that another session of this upload has too`,
  patient_elsewhere: (n) => `${sessions(n)} of patients with another subject in the project`,
  stays_waiting: (n) => `${sessions(n)} also in the prearchive: what is there stays there`,
  beside_waiting: (n) => `${sessions(n)} already held for review: the new ${n === 1 ? "one waits" : "ones wait"} beside ${n === 1 ? "it" : "them"}`,
  ecat_stored: (n) => `${sessions(n)} with ECAT files that are archived already`,
  filtered: (n) => `${studies(n)} ${n === 1 ? "passes" : "pass"} import filters, which decide what images of ${n === 1 ? "it" : "them"} are stored`,
  unassigned: (n) => `${studies(n)} ${n === 1 ? "names" : "name"} no project that you can upload to and will wait in the prearchive without a project`,
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
    else if (isRefusedWhole(pick)) add("stop", "unparseable", rowKey(pick), "will be refused: a file that should be an image can't be read, and “Ignore unreadable files” is off.");
    else for (const one of pick.taken) for (const [code, kind] of codesOf(one)) add(kind, code, rowKey(pick, one.study.key));
  }
  const counted = [...groups.values()].map((group) => ({ ...group, words: wordsOf(group, picks) }));
  return counted.sort((one, other) => ORDER.indexOf(one.kind) - ORDER.indexOf(other.kind));
}

/** [code, kind] of what is counted of one study. */
function codesOf({ forecast }) {
  const counted = forecast.notes.filter(({ kind }) => kind !== "there");
  return new Map(counted.map(({ kind, code }) => [LABELS.includes(code) ? "labels" : code, kind]));
}

function wordsOf({ kind, code, words, rows }, picks) {
  if (kind !== "stop") return `${WORDS[code](rows.length)}.`;
  if (rows.length > 1) return `${plural(rows.length, "archive")} ${words}`;
  return `${shown(picks.find((pick) => rowKey(pick) === rows[0]).name)} ${words}`;
}

/** How many sessions will be held, in words; "" where none will be. */
export function heldWords(picks) {
  const kept = picks.filter((pick) => !pick.problem && !isRefusedWhole(pick)).flatMap((pick) => pick.taken);
  const every = kept.filter(({ forecast }) => forecast.verdict === "held");
  const labels = every.filter((one) => codesOf(one).has("labels")).length;
  const others = every.length - labels;
  const told = [];
  if (labels) told.push(WORDS.labels(labels));
  if (others) told.push(`${plural(others, labels ? "other session" : "session")} will be held for review`);
  return told.length ? `${told.join(". ")}.` : "";
}

/** By what a row is known across the list: an archive's, or that of a study in it. */
export const rowKey = (pick, study = "") => `${pick.id} ${study}`;
