// What the server has of a study already, and what comes of that where it is bound; as rules.md, "Again" 3 and 4, and
// src/scandock/rules/routing.py.

import { number, plural } from "../live/figures.js";
import { candidates } from "./comments.js";
import { fold, UNASSIGNED } from "./labels.js";
import { named, options, site } from "./options.js";

/** Where a decision's session is to stand: "archive" or "prearchive", or null where this page can't know. */
export function boundFor(one) {
  if (one.project === UNASSIGNED) return "prearchive";
  if (options.destination) return options.destination;
  for (const [value] of candidates("AA", one.study)) {
    if (/^t/i.test(value)) return "archive";
    if (/^f/i.test(value)) return "prearchive";
  }
  const code = site.codes[named(one.project) ?? ""];
  if (code === undefined) return null;
  return code === 0 ? "prearchive" : "archive";
}

/** [[kind, sentence, soft, code]] of what is there, the last two where they say more; `known` is {label, study}: the session of that label, and the one of the study;
 * with {subjects, ecat}: other subjects of its patient, other sessions of its ECAT files. */
export function already(one, known) {
  return [...there(one, { ...known, same: known.same_images === true ? one.study.images : 0 }), ...shared(known)];
}

/** What it shares with other sessions that are there. */
function shared({ subjects = [], ecat = [] }) {
  const told = [];
  if (subjects.length) told.push(["warn", `Its PatientID has another subject in the project: ${subjects.join(", ")}.`, false, "patient_elsewhere"]);
  if (ecat.length) told.push(["warn", `ECAT files of it are archived already, in ${ecat.join(", ")}.`, false, "ecat_stored"]);
  return told;
}

function there(one, { label, study, same }) {
  const bound = one.held.length ? "prearchive" : boundFor(one);
  const told = study && fold(study.label) !== fold(one.label) ? elsewhere(one, study, bound, same) : [];
  if (told.length && !isBeside(study, bound)) return told;
  return [...told, ...called(one, label, bound, same)];
}

/** Whether a session of the study waits for a decision, so that what comes is a session of its own beside it. */
function isBeside(study, bound) {
  return study.place === "prearchive" && study.state === "conflict" && bound === "prearchive";
}

/** What is there under the label. */
function called(one, label, bound, same) {
  if (label === null) return [];
  if (label.assessor) return ofAssessor(one, label);
  if (one.study.uid !== null && label.study_uid && label.study_uid !== one.study.uid) return another(one, label);
  return label.place === "archive" ? archived(one, label, bound, same) : waiting(label, bound, same);
}

/** The study is there under another label. */
function elsewhere(one, study, bound, same) {
  const requested = one.naming.session.requested;
  const apart = requested ? " under another label it will be held for review." : "";
  if (study.place === "archive") {
    if (requested) return [["held", `This study is archived as ${study.label}:${apart}`, false, "study_elsewhere"]];
    const subject = differs(one, study);
    if (subject.length) return subject;
    if (bound === "prearchive") return [["there", `This study is archived as ${study.label}: what comes will wait in the prearchive under that label.`]];
    return [["there", same ? `This study is archived as ${study.label}: ${joins(one, same)}` : `This study is archived as ${study.label}: it goes there.`]];
  }
  const is = `This study is in the prearchive as ${study.label}`;
  if (bound === "archive") return [["warn", `${is}: that stays there, and what comes is archived as ${one.label}.`, false, "stays_waiting"]];
  if (bound === null) return [["there", `${is}.`]];
  if (isBeside(study, bound)) return [["warn", `${is}, and waits for a decision: what comes will be there beside it, as ${one.label}.`, false, "beside_waiting"]];
  if (requested) return [["held", `${is}:${apart}`, false, "study_elsewhere"]];
  return [...differs(one, study), ["there", `${is}: it goes there.`]];
}

/** Another study has the label. */
function another(one, label) {
  const is = `${label.label} is ${label.place === "archive" ? "archived" : "in the prearchive"} with another study`;
  if (!one.naming.session.requested) return [["there", `${is}: this one gets a suffix.`]];
  if (label.place !== "archive" && label.state === "conflict") return []; // what is held has no claim to its label
  return [["held", `${is}: this one will be held for review.`, false, "label_taken"]];
}

/** An assessor of an archived session has the label, which no session joins. */
function ofAssessor(one, label) {
  const is = `${label.label} is an assessor of an archived session`;
  if (!one.naming.session.requested) return [["there", `${is}: this one gets a suffix.`]];
  return [["held", `${is}: this one will be held for review.`, false, "label_taken"]];
}

function archived(one, label, bound, same) {
  const subject = differs(one, label);
  if (subject.length) return subject;
  if (bound === "prearchive") return [["there", `${label.label} is archived already: what comes will wait in the prearchive.`]];
  if (options.overwrite === "none") return [["held", `${label.label} is archived already, which is left alone: this will be held for review.`, false, "left_alone"]];
  return [["there", `${label.label} is archived already: ${joins(one, same)}`]];
}

function waiting(label, bound, same) {
  if (bound === "archive") return [["warn", `${label.label} is in the prearchive already: that stays there, and what comes is archived beside it.`, false, "stays_waiting"]];
  if (bound === null) return [["there", `${label.label} is in the prearchive already.`]];
  if (same) return [["there", `${label.label} is in the prearchive already: ${isIn(same, "there")}`]];
  return [["there", `${label.label} is in the prearchive already: new files are added.`]];
}

/** A subject that was written here and is not the one of the session that is there. */
function differs(one, session) {
  if (!one.naming.subject.requested || !session.subject || fold(session.subject) === fold(one.subject)) return [];
  return [["held", `${session.label} is of subject ${session.subject}: under another subject it will be held for review.`, false, "subject_differs"]];
}

/** What becomes of it there; `same`: how many images both have, where these are all that either has, else 0. */
function joins(one, same) {
  const code = site.codes[named(one.project) ?? ""];
  if (options.overwrite === "delete" || (!options.overwrite && code === 5)) {
    return same ? `${plural(same, "file replaces", "files replace")} ${same === 1 ? "the archived one" : `${number(same)} archived ones`}.` : "images replace those with the same UID.";
  }
  return same ? isIn(same, "archived") : "new files are added.";
}

const isIn = (same, where) => `its ${plural(same, "image")} ${same === 1 ? "is" : "are"} ${where}. Identical files change nothing; files with other content are held for review.`;
