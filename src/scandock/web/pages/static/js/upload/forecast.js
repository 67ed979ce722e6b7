// What the server will do with each study on the list, by all that this page knows before a byte is sent: the one place
// that decides it, for rows, banners and sentences alike. As docs/rules.md and src/scandock/rules/routing.py.

import { number, plural } from "../live/figures.js";
import { candidates } from "./comments.js";
import { knownOf, knownSubject } from "./known.js";
import { fold, UNASSIGNED } from "./labels.js";
import { shown } from "./names.js";
import { named, options, problem, site } from "./options.js";
import { BY_SERVER, isByServer } from "./privacy.js";
import { grouped, subjectAmong, withHalves } from "./settle.js";
import { sideLabel } from "./sides.js";
import { samePatient } from "./study.js";
import { isOver } from "./totals.js";

const HELD = {
  label_many_studies: "Several studies of this archive have this label: each will be held for review.",
  subject_many_patients: "Several patients of this archive have this subject: their sessions will be held for review.",
  patient_mismatch: "Its images have different patient IDs: it will be held for review.",
};
const WARNED = {
  label_suffixed: "Several studies of this archive had this label: a date or code was added to tell them apart.",
  label_own_id: "Its label looked like an ID of this server: a date or code was added.",
  label_from_hash: "Its images have no patient ID: its label is a generated code.",
  subjects_told_apart: "Several patients of this archive had this subject: a code was added to tell them apart.",
  subject_other_patient: "Comments in the images give this subject to several patients.",
  patient_many_subjects: "This patient ID has several subjects in this archive.",
  ecat_elsewhere: "Another session of this archive has the same ECAT files.",
};

/** Forecast every study of these archives, in the order of the list, in which they are uploaded.
 *
 * Each decision gets `forecast`: {verdict, words, notes, sessions, follows}, as `forecastOf` says. Each archive that is
 * not sent yet gets `follows`, the archives that have to be imported before it for this to come true.
 */
export function foresee(archives) {
  const brought = new Brought();
  for (const pick of archives) {
    if (pick.transfer === null) foreseeArchive(pick, brought);
    else if (isOver(pick.transfer)) continue; // the server says what is there of it
    if (pick.problem || isRefusedWhole(pick)) continue;
    for (const { forecast } of pick.taken) for (const session of forecast?.sessions ?? []) brought.add({ ...session, pick });
  }
  noteOthers(archives.filter((pick) => (pick.transfer === null || !isOver(pick.transfer)) && !pick.problem && !isRefusedWhole(pick)));
}

function foreseeArchive(pick, brought) {
  for (const one of pick.decisions) {
    for (const each of withHalves(one)) each.pick = pick;
    nameSubject(one, brought);
    for (const half of one.halves ?? []) Object.assign(half, subjectOf(one));
    one.forecast = one.halves ? forecastOfSides(one, brought) : forecastOf(one, one.leftOut ? undefined : knownOf(one), brought);
  }
  pick.follows = new Set(pick.taken.flatMap(({ forecast }) => forecast.follows));
}

/** Give a study whose images name its subject the one that is its patient's, by what the server has and what archives before
 * it will have brought. `one.subjectFrom` are archives that decide it, `one.subjectOfOther` says whose it would have been. */
function nameSubject(one, brought) {
  Object.assign(one, { subjectFrom: [], subjectOfOther: "" });
  if (!one.derived || one.leftOut) return;
  const { bare, apart } = one.derived;
  one.settled ??= one.subject;
  const known = (label) => knownSubject(one, label);
  const there = (label) => {
    const [of, coming] = [known(label), brought.ofSubject(one, label)];
    return of?.own || !coming?.own ? (of ?? coming) : coming;
  };
  const alone = subjectAmong(one.derived, known);
  const named = subjectAmong(one.derived, there);
  if (there(bare)?.own === false) one.subjectOfOther = known(bare) ? `${bare} is another patient in the project` : `${shown(there(bare).pick.name)} gives the subject ${bare} to another patient`;
  one.subject = there(named) === null && fold(named) === fold(one.settled) ? one.settled : named;
  if (fold(alone) !== fold(named)) one.subjectFrom = [bare, apart].map((label) => brought.ofSubject(one, label)?.pick).filter(Boolean);
}

/** What both sides of a study have of its subject. */
const subjectOf = ({ subject, settled, subjectFrom, subjectOfOther }) => ({ subject, settled, subjectFrom, subjectOfOther });

/** Whether the choices let a file that can't be read refuse the whole archive. */
export const isRefusedWhole = ({ found }) => !options.ignore && (found?.counts?.unparseable ?? 0) > 0;

/** What becomes of a study that its project separates: where it is there as a whole it goes there, else each side does what
 * a session of its own does. `parts` are the forecasts of both. */
function forecastOfSides(one, brought) {
  const study = first(knownOf(one)?.study ?? null, brought.ofStudy(one));
  if (study && !study.side) return forecastOf(one, knownOf(one), brought);
  const parts = one.halves.map((half) => {
    const known = knownOf(half);
    const own = first(known?.study ?? null, brought.ofStudy(half));
    const isOwn = own !== null && fold(own.label ?? "") === fold(one.label); // it came before the other one, and keeps its label
    const named = isOwn ? { ...half, label: one.label } : half;
    return { label: named.label, ...forecastOf(named, isOwn ? { ...known, label: own } : known, brought) };
  });
  const notes = [...new Map(parts.flatMap((part) => part.notes).map((note) => [note.words, note])).values()];
  const [follows, sessions] = [parts.flatMap((part) => part.follows), parts.flatMap((part) => part.sessions)];
  const [mr, pet] = parts;
  const label = parts.map((part) => part.label).join(" and ");
  const isAlike = mr.verdict === pet.verdict && mr.verdict !== "there";
  const said = verdictOf({ ...one, forecast: { notes, label } });
  const words = isAlike ? said.words : [...new Set([mr.words, pet.words])].join(". ").replaceAll("..", ".");
  return { label, notes, sessions, follows, parts, verdict: said.verdict, words };
}

/** What becomes of one study: {verdict, words, notes, sessions, follows}.
 *
 * `verdict` is "held", "there" (it joins what is there) or "", `words` says it in a sentence; `notes` are {kind, words, code}
 * with the kinds "held", "there" and "warn", `sessions` are what the server will have of it for the archives after, and
 * `follows` the archives that have to come before.
 * `known` is what the server has, `brought` what archives before it will have brought.
 */
export function forecastOf(one, known, brought = new Brought()) {
  if (one.leftOut) return { notes: [], sessions: [], follows: [], ...verdictOf(one) };
  const { label = null, study = null } = known ?? {};
  const same = known?.shared_images ?? (known?.same_images === true ? imagesOf(one) : 0);
  const present = { label: first(label, brought.ofLabel(one)), study: first(study, brought.ofStudy(one)), same };
  const notes = one.held.map((code) => ({ kind: "held", words: HELD[code], code }));
  const met = one.held.includes("label_many_studies") ? { notes: [], from: null } : meet(one, present);
  const joined = met.notes.some(({ kind }) => kind === "there") ? met.from?.subject : null;
  notes.push(...met.notes, ...shared(known ?? {}, [one.subject, joined ?? ""]));
  if (one.subjectOfOther) notes.push(...warn(`${one.subjectOfOther}: a code was added to tell them apart.`, "subject_apart"));
  for (const code of new Set(one.warnings)) if (WARNED[code] && !isBareOwn(one, code)) notes.push({ kind: "warn", words: WARNED[code], code });
  if (isUnassigned(one)) notes.push({ kind: "warn", words: UNASSIGNED_WORDS, code: "unassigned" });
  const waits = isHeld({ notes });
  const from = met.from?.pick && met.notes.length && (waits || met.from.requested || one.naming.session.requested) ? [met.from.pick] : [];
  const sessions = waits ? [] : [{ ...sessionOf(one), ...met.session }];
  const forecast = { notes, sessions, follows: [...from, ...(one.subjectFrom ?? [])] };
  return { ...forecast, ...verdictOf({ ...one, forecast }) };
}

/** Whether a study's subject, of which its archive has several patients, is told from the others by who has it already. */
const isBareOwn = ({ subject, derived }, code) => code === "subjects_told_apart" && derived !== undefined && fold(subject) === fold(derived.bare);
const UNASSIGNED_WORDS = "Its images name no project that you can upload to. It will wait in the prearchive without a project, where you and the administrators see it.";
const isHeld = ({ notes }) => notes.some(({ kind }) => kind === "held");
const isUnassigned = (one) => one.project === UNASSIGNED && problem() === "";

/** {verdict, words}: what will happen to a study, in one sentence, by its notes. */
function verdictOf(one) {
  if (one.leftOut) return { verdict: "", words: "Not included: it is uploaded with its archive, but not stored." };
  const { notes } = one.forecast;
  const wrong = problem();
  if (one.pick?.problem) return { verdict: "", words: "Will not be uploaded" };
  if (one.pick && isRefusedWhole(one.pick)) return { verdict: "", words: "Will be refused with its archive" };
  if (wrong) return { verdict: "", words: wrong };
  const where = one.project === UNASSIGNED ? "the prearchive without a project" : one.project;
  const own = one.forecast.label ?? one.label;
  const label = notes.some(({ code }) => code === "meets_derived") ? `${own}, or ${own} with a suffix` : own;
  const [subject, session] = [isByServer(one, "subject") ? BY_SERVER : one.subject, isByServer(one, "session") ? BY_SERVER : label];
  const as = subject === BY_SERVER && session === BY_SERVER ? `${where}, with labels ${BY_SERVER}` : `${where} as ${subject} / ${session}`;
  if (isHeld(one.forecast)) return { verdict: "held", words: `Will be held for review in ${as}` };
  const there = notes.find(({ kind }) => kind === "there");
  if (there) return { verdict: "there", words: there.words };
  if (one.project === UNASSIGNED) return { verdict: "", words: `Will wait in ${as}` };
  const bound = boundFor(one);
  if (bound === "prearchive") return { verdict: "", words: `Will wait in the prearchive of ${as}` };
  return { verdict: "", words: bound === null ? `Will go to ${as}` : `Will be archived in ${as}` };
}

/** What archives after this one will find of it on the server. */
function sessionOf(one) {
  const { study, naming } = one;
  return {
    project: one.project,
    label: one.label,
    subject: one.subject,
    place: boundFor(one) ?? "archive",
    state: "ready",
    study_uid: study.uid,
    side: one.side ?? "",
    requested: naming.session.requested,
    patient: naming.patients.commonId,
    ecat: study.ecat.length > 0,
  };
}

/** Where a study is to go: "archive" or "prearchive", or null where this page can't know. */
function boundFor(one) {
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

// -- sessions that are there, or will be ----------------------------------------------------------------------------

/** What is on the server counts before what other archives of the list will bring, unless it has no claim to its label. */
function first(there, coming) {
  const hasClaim = there !== null && !(there.place === "prearchive" && there.state === "conflict");
  return hasClaim ? there : (coming ?? there);
}

/** The sessions that archives of the list will have made, by label and by study: the first of each. */
class Brought {
  #labels = new Map();
  #studies = new Map();
  #subjects = new Map(); // {label, patients, pick} of each

  add(session) {
    const { project, label, study_uid: uid, side, subject, patient, pick } = session;
    const of = `${project}/${fold(subject ?? "")}`;
    put(this.#subjects, of, { label: subject, patients: new Set(), pick });
    if (patient) this.#subjects.get(of).patients.add(patient);
    if (label !== null) put(this.#labels, `${project}/${fold(label)}`, session);
    if (uid !== null) put(this.#studies, `${project}/${uid}/${side}`, session);
  }

  ofLabel({ project, label }) {
    return this.#labels.get(`${project}/${fold(label)}`) ?? null;
  }

  /** {label, own, pick} of a subject that will be there as this study's patient's (`own`) or another's, else null. */
  ofSubject({ project, study, naming }, label) {
    const there = this.#subjects.get(`${project}/${fold(label)}`);
    const id = naming.patients.commonId;
    if (!there?.patients.size || !id) return null;
    const own = [...there.patients].some((other) => (study.uid === null ? samePatient(id, other) : id === other));
    return { label: there.label, own, pick: there.pick };
  }

  /** Of its side, or of the whole study. */
  ofStudy({ project, study, side = "" }) {
    const of = (one) => this.#studies.get(`${project}/${study.uid}/${one}`);
    return of(side) ?? of("") ?? null;
  }
}

const put = (map, key, session) => map.has(key) || map.set(key, session);

/** {notes, from, session} of a study and what is there of its label and its study: `from` is what decides it, `session` what
 * differs from a session of its own. */
function meet(one, { label, study, same }) {
  const bound = one.held.length ? "prearchive" : boundFor(one);
  if (study && fold(study.label ?? "") !== fold(one.label)) {
    const notes = elsewhere(one, study, bound, same);
    const joins = notes.some(({ kind }) => kind === "there") ? { label: study.label, subject: study.subject } : {};
    if (notes.length && !isBeside(study, bound)) return { notes, from: study, session: joins };
    return { notes: [...notes, ...called(one, label, bound, same)], from: study, session: {} };
  }
  const notes = called(one, label, bound, same);
  const codes = new Set(notes.map(({ code }) => code));
  if (codes.has("label_side")) return { notes, from: label, session: { label: sideLabel(one.label, one.side) } };
  return { notes, from: label, session: codes.has("label_suffix") ? { label: null } : {} };
}

/** Whether a session of the study waits for a decision, so that what is uploaded is a session of its own beside it. */
function isBeside(study, bound) {
  return study.place === "prearchive" && study.state === "conflict" && bound === "prearchive";
}

/** Whether what has the label is another study's. */
function isAnother({ study, naming }, session) {
  if (session.assessor) return true;
  if (study.uid !== null && session.study_uid) return session.study_uid !== study.uid;
  if (!session.pick) return false; // ECAT: the server tells neither its files nor its patient
  const isOther = session.patient && naming.patients.commonId && session.patient !== naming.patients.commonId;
  if (study.uid === null && !session.study_uid) return Boolean(isOther);
  return Boolean(isOther) || Object.keys(study.sessionFolders ?? {}).length !== 1;
}

/** What is there under the label. */
function called(one, label, bound, same) {
  if (label === null) return [];
  if (isAnother(one, label)) return another(one, label);
  if (label.side && one.side && label.side !== one.side) return otherSide(one, label);
  if (label.pick) return joinsComing(one, label, bound);
  return label.place === "archive" ? archived(one, label, bound, same) : waiting(one, label, bound, same);
}

/** Where a session is, in words. */
function whereIs({ pick, place }) {
  if (pick) return `is in ${shown(pick.name)}`;
  return place === "archive" ? "is archived" : "is in the prearchive";
}

const held = (words, code) => [{ kind: "held", words, code }];
const there = (words, code = "") => [{ kind: "there", words, code }];
const warn = (words, code) => [{ kind: "warn", words, code }];

/** The study is there under another label. */
function elsewhere(one, study, bound, same) {
  const { requested } = one.naming.session;
  const is = `This study ${whereIs(study)} as ${study.label ?? "another session"}`;
  const apart = () => held(`${is}: under another label it will be held for review.`, "study_elsewhere");
  if (study.place === "archive") {
    if (requested) return apart();
    const subject = differs(one, study);
    if (subject.length) return subject;
    if (bound === "prearchive") return there(`${is}: this upload will wait in the prearchive under that label.`);
    return there(same ? `${is}: ${joins(one, same)}` : `${is}: it goes there.`);
  }
  if (bound === "archive") return warn(`${is}: that session stays there, and this one will be archived as ${one.label}.`, "stays_waiting");
  if (bound === null) return there(`${is}.`);
  if (isBeside(study, bound)) return warn(`${is}, held for review: this one will wait beside it as ${one.label}.`, "beside_waiting");
  if (requested) return apart();
  return [...differs(one, study), ...there(`${is}: it goes there.`)];
}

/** Another study has the label, or an assessor, which no session joins. */
function another(one, label) {
  const is = label.assessor ? `${label.label} is an assessor of an archived session` : `${label.label} ${whereIs(label)} with another study`;
  if (!one.naming.session.requested) {
    if (label.pick && !label.requested) return label.pick.transfer ? meetsDerived([label.pick.name]) : []; // else `noteOthers` says it of both
    return there(`${is}: this one gets a suffix.`, "label_suffix");
  }
  if (!label.assessor && label.place !== "archive" && label.state === "conflict") return []; // what is held has no claim to its label
  return held(`${is}: this one will be held for review.`, "label_taken");
}

/** The other side of its study has the label. */
function otherSide(one, label) {
  return there(`${label.label} ${whereIs(label)} as the ${label.side} of this study: this one will be ${sideLabel(one.label, one.side)}.`, "label_side");
}

function archived(one, label, bound, same) {
  const subject = differs(one, label);
  if (subject.length) return subject;
  if (bound === "prearchive") return there(`${label.label} is archived already: this upload will wait in the prearchive.`);
  if (options.overwrite === "none") return held(`${label.label} is archived already and will be kept as it is: this one will be held for review.`, "left_alone");
  return there(`${label.label} is archived already: ${joins(one, same)}`);
}

function waiting(one, label, bound, same) {
  if (bound === "archive") return warn(`${label.label} is in the prearchive already: that session stays there, and this one will be archived.`, "stays_waiting");
  if (bound === null) return there(`${label.label} is in the prearchive already.`);
  if (same) return there(`${label.label} is in the prearchive already: ${isIn(one, same, "there")}`);
  return there(`${label.label} is in the prearchive already: new files are added.`);
}

/** What an archive before brings is the same session: `noteOthers` says that files are stored once. */
function joinsComing(one, label, bound) {
  if (label.place !== "archive" || bound !== "archive") return label.place === bound ? differs(one, label) : [];
  const subject = differs(one, label);
  if (subject.length || options.overwrite !== "none") return subject;
  return held(`${label.label} ${whereIs(label)} too, and what is archived will be kept as it is: this one will be held for review.`, "left_alone");
}

/** A subject that was written here and is not the one of the session that is there. */
function differs(one, session) {
  if (!one.naming.subject.requested || !session.subject || fold(session.subject) === fold(one.subject)) return [];
  return held(`${session.label} belongs to subject ${session.subject}: under another subject it will be held for review.`, "subject_differs");
}

/** What becomes of it there; `same`: how many images both have, 0 where that is not known. */
function joins(one, same) {
  if (isReplacing(one)) {
    if (!same) return "images that it has already are replaced, unless identical, and others are added.";
    const others = othersAdded(one, same);
    if (same === 1) return `1 file replaces the archived one, unless both are identical.${others}`;
    return `up to ${number(same)} files replace ${number(same)} archived ones. Identical files change nothing.${others}`;
  }
  return same ? isIn(one, same, "archived") : "new files are added.";
}

/** Whether what comes replaces archived images of the same UID. */
function isReplacing(one) {
  return options.overwrite === "delete" || (!options.overwrite && site.codes[named(one.project) ?? ""] === 5);
}

/** How many images a study has, one by one where they are so known. */
const imagesOf = ({ study }) => study.imageCrcs?.length ?? study.images;

function isIn(one, same, where) {
  const all = imagesOf(one);
  const some = same < all ? `${number(same)} of its ${plural(all, "image")}` : `its ${plural(same, "image")}`;
  return `${some} ${same === 1 ? "is" : "are"} ${where}. Identical files change nothing; files with other content are held for review.${othersAdded(one, same)}`;
}

function othersAdded(one, same) {
  const others = imagesOf(one) - same;
  return others > 0 ? ` ${number(others)} more ${others === 1 ? "is" : "are"} added.` : "";
}

/** What it shares with other sessions on the server. */
function shared({ subjects = [], ecat = [] }, own) {
  const notes = [];
  const others = (subjects ?? []).filter((label) => !own.some((mine) => fold(mine) === fold(label)));
  if (others.length) notes.push(...warn(`This patient ID has another subject in the project: ${others.join(", ")}.`, "patient_elsewhere"));
  if (ecat?.length) notes.push(...warn(`Some of its ECAT files are archived already, in ${ecat.join(", ")}.`, "ecat_stored"));
  return notes;
}

// -- archives of the list among each other ---------------------------------------------------------------------------

/** Note at each study that other archives have it too, or another one of the same label that images gave to both. */
function noteOthers(picks) {
  const every = picks.flatMap((pick) => pick.taken);
  for (const group of grouped(every, (one) => `${one.project}/${one.study.key}`).values()) noteSame(group);
  for (const group of grouped(every, (one) => `${one.project}/${fold(one.label)}`).values()) {
    if (group.length < 2) continue;
    const studies = grouped(group, ({ study }) => study.key);
    const isNamed = group.some(({ naming }) => naming.session.requested);
    for (const one of group.filter(({ pick }) => pick.transfer === null)) {
      if (!isNamed && studies.size > 1) noteDerived(one, namesOf(group, one.pick, one.study.key));
    }
  }
}

/** The names of at most two archives but `pick` that have one of these studies; `key` is a study that does not count. */
function namesOf(group, pick, key = null) {
  const names = new Set();
  for (const one of group) {
    if (one.pick !== pick && one.study.key !== key) names.add(one.pick.name);
    if (names.size > 1) break;
  }
  return [...names];
}

/** Of one study in several archives, in the order of the list: those that have some of the same images follow each other. */
function noteSame(group) {
  const kept = group.filter(({ forecast }) => forecast && !isHeld(forecast));
  kept.forEach((one, at) => {
    if (one.pick.transfer !== null) return;
    const sharing = kept.filter((other) => other.pick !== one.pick && one.study.sharedWith(other.study) > 0);
    for (const other of kept.slice(0, at)) if (sharing.includes(other)) one.pick.follows.add(other.pick);
    const names = namesOf(sharing.length ? sharing : kept, one.pick);
    if (!names.length) return;
    const have = names.length === 1 ? `${shown(names[0])} has` : "Other archives on the list have";
    one.forecast.notes.push(...(sharing.length ? sameImages(one, have) : warn(`${have} this study too: equal files are stored once.`, "study_twice")));
  });
}

function sameImages(one, have) {
  const some = `${have} some of the same images:`;
  if (isReplacing(one) && boundFor(one) === "archive") return warn(`${some} of those that differ the ones imported last stay.`, "images_replaced");
  return warn(`${some} identical ones are stored once, others are held for review.`, "images_twice");
}

function noteDerived(one, names) {
  const { notes } = one.forecast;
  if (!names.length || isHeld(one.forecast) || notes.some(({ code }) => code === "label_suffix")) return;
  const before = notes.findIndex(({ code }) => code === "meets_derived");
  notes.splice(before < 0 ? notes.length : before, 1, ...meetsDerived(names));
  Object.assign(one.forecast, verdictOf(one));
}

/** Which of them keeps the label is decided by which is imported first, and that nobody knows before. */
function meetsDerived(names) {
  const bring = names.length === 1 ? `${shown(names[0])} brings another study with this label: one of the two gets` : "Other archives on the list bring other studies with this label: all but one get";
  return warn(`${bring} a suffix.`, "meets_derived");
}
