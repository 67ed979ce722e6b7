// What was chosen: each archive or folder with what was found in it, how its studies are named, and its upload.

import { damagedWords, emptyWords } from "./archive_words.js";
import { EditHistory } from "./edit_history.js";
import { foresee } from "./forecast.js";
import { askKnown, forgetAnswers, keptSubject, knownSubject } from "./known.js";
import { clean, compare } from "./labels.js";
import { letters } from "./letters.js";
import { likenessOf } from "./likeness.js";
import { rowFor } from "./mapping_csv.js";
import { named, project, site } from "./options.js";
import { settle, withHalves } from "./settle.js";
import { Study } from "./study.js";
import { look } from "./worker_client.js";

const LOOKING = 2; // previews at once
const ASK_AFTER = 300; // milliseconds without a change, then the server is asked what is there

/** Those that are not sent yet. */
export const picks = [];

/** Everything on the list, in its order: those that are not sent yet among those that are, or were. */
export const archives = [];
const listeners = new Set();
let count = 0;
const history = new EditHistory();

/** How often something was undone. */
export let undos = 0;
let table = { rows: [], step: null }; // the last one that was applied, for studies that are found after it, and its step

/** Hear of every change: of one pick, or (null) of the list. The answer ends it. */
export function onPicks(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function changed(pick = null) {
  for (const one of listeners) one(pick);
}

let isForeseen = true;

/** What will become of the studies is to be decided again, once somebody looks. */
function unforeseen() {
  isForeseen = false;
}

/** Let every study on the list have its forecast. */
export function foreseeAll() {
  if (!isForeseen) foresee(archives);
  isForeseen = true;
}

class Pick {
  found = null;
  studies = [];
  decisions = [];
  edits; // by the study's key: {subject, session, project, leaveOut}
  #tabled = new Set(); // keys of studies that the table was asked about
  state = "waiting"; // for its preview: waiting, looking, done
  invalid = new Map(); // by the study's key: {column: text} of what is written into its cells and can't stand there
  transfer = null; // its upload, once that was begun
  isAgain = false; // whether it is uploaded though another tab has done so
  follows = new Set(); // archives before it that are imported first, so that what is forecast of it comes true
  #stop = () => {};

  constructor({ name, file = null, files = null, handle = null, edits = [] }) {
    Object.assign(this, { name, file, files, handle, edits: new Map(edits) });
    this.id = `p${(count += 1)}`;
    this.size = file ? file.size : files.reduce((sum, one) => sum + one.file.size, 0);
  }

  get source() {
    return this.files ? { files: this.files.map(({ path, file }) => ({ path, file })) } : { file: this.file };
  }

  async look() {
    this.state = "looking";
    await letters(); // by which studies are named
    if (this.state !== "looking") return; // it was taken off the list, or its upload began
    this.#stop = look(this.source, { zone: site.zone }, (found) => {
      if (found.failed && this.found) found = { ...this.found, done: true, partial: true, failed: found.failed };
      this.found = found;
      this.studies = (found.studies ?? []).map((facts) => new Study(facts)).sort(byDate);
      if (found.done) this.state = "done";
      this.tabulate();
      this.settle();
      next();
    });
  }

  /** The upload begins, or it is taken off the list: nothing more is read for the preview. */
  stop() {
    this.#stop();
    this.state = "done";
  }

  /** Names anew, as the form and the edits say now. */
  settle(tell = true) {
    const request = { project: project(), mapping: this.rows() };
    const rules = { placeholders: site.placeholders, isUsable: (name) => named(name) !== undefined, kept: keptSubject, subject: knownSubject, petmr: (name) => site.petmr[named(name) ?? ""], mapWords: site.mapWords };
    this.decisions = settle(this.studies, request, rules).sort(byPatient);
    for (const one of this.decisions.flatMap(withHalves)) one.pick = this;
    if (!tell) return;
    unforeseen();
    changed(this);
    askLater();
  }

  /** The rows of the mapping that the edits make. */
  rows() {
    const rows = [];
    for (const study of this.studies) {
      const edit = this.edits.get(study.key);
      const key = edit && keyOf(study, this.studies);
      if (key) rows.push({ number: rows.length + 2, leaveOut: false, ...key, ...edit });
    }
    return rows;
  }

  /** The rows that go along: what is not looked into yet is named by the table as well. */
  rowsToSend() {
    const isWhole = this.state === "done" && this.found && !this.found.partial;
    return isWhole ? this.rows() : [...this.rows(), ...table.rows];
  }

  /** Edit studies as the table says that it was not asked about. */
  tabulate() {
    const { rows, step } = table;
    for (const study of this.studies.filter((one) => !this.#tabled.has(one.key))) {
      this.#tabled.add(study.key);
      step?.asked.push({ pick: this, key: study.key });
      const row = rowFor(rows, study);
      if (row === null) continue;
      const { project: goes = "", subject = "", session = "", leaveOut } = row;
      const edit = { project: goes, subject: subject && clean(subject), session: session && clean(session), leaveOut };
      history.within(step, () => this.edit(study, edit));
    }
  }

  /** Let the table be asked again about every study, or about one. */
  untable(key = null) {
    if (key === null) this.#tabled.clear();
    else this.#tabled.delete(key);
  }

  /** Change how a study is named; an empty text takes the change back. */
  edit(study, change) {
    history.note(this.edits, study.key);
    for (const column of Object.keys(change)) this.mark(study.key, column, "");
    const edit = { ...this.edits.get(study.key), ...change };
    for (const [name, value] of Object.entries(edit)) if (!value) delete edit[name];
    if (Object.keys(edit).length) this.edits.set(study.key, edit);
    else this.edits.delete(study.key);
  }

  /** Note what is written into a cell and can't stand there; "" where nothing is. */
  mark(key, column, text) {
    const { [column]: before = "", ...others } = this.invalid.get(key) ?? {};
    const marked = text ? { ...others, [column]: text } : others;
    if (Object.keys(marked).length) this.invalid.set(key, marked);
    else this.invalid.delete(key);
    return before !== text;
  }

  /** {one, column, text} of each such cell of a study that is included. */
  get invalidCells() {
    if (!this.invalid.size) return [];
    const cellsOf = (one) => Object.entries(this.invalid.get(one.study.key) ?? {}).map(([column, text]) => ({ one, column, text }));
    return this.taken.flatMap(cellsOf);
  }

  get taken() {
    return this.decisions.filter((one) => !one.leftOut);
  }

  /** Why it can't be sent; "" where it can. */
  get problem() {
    if (this.found?.refused) return `It is ${this.found.refused}: Scandock takes archives, folders, DICOM and ECAT 7 files.`;
    if (this.size > site.most) return "It is larger than this server allows.";
    if (this.found?.problems?.includes("encrypted")) return "It is encrypted: pack it again without a password.";
    if (this.found?.damaged?.length) return damagedWords(this.found.damaged);
    if (this.state !== "done" || !this.found || this.found.failed) return "";
    const { counts, partial } = this.found;
    if (!partial && emptyWords(counts)) return emptyWords(counts);
    return this.studies.length && !this.taken.length && !partial ? "None of its studies is included." : "";
  }

  get likeness() {
    return likenessOf(this);
  }
}

const natural = new Intl.Collator(undefined, { numeric: true }).compare; // P2 before P10, as people and tables count
const patientOf = ({ study }) => study.common("PatientID") || study.common("PatientName") || study.folders[0] || "";

/** The order of an archive's rows: by patient, then date. Labels are made in the order of dates, as on the server. */
const byPatient = (one, other) => natural(patientOf(one), patientOf(other)) || byDate(one.study, other.study);

const byDate = (one, other) => compare(one.date, other.date) || compare(one.key, other.key);

/** What chooses a study in a mapping: its UID, or for ECAT alone what no other study of the archive has; else null. */
export function keyOf(study, studies) {
  if (study.uid !== null) return { study_uid: study.uid };
  const others = studies.filter((other) => other !== study);
  const alone = (row) => rowFor([row], study) !== null && !others.some((other) => rowFor([row], other) !== null);
  const id = study.common("PatientID");
  const tries = [...(id ? [{ patient_id: id }] : []), ...study.folders.filter(Boolean).map((folder) => ({ folder }))];
  return tries.find((row) => alone({ number: 2, leaveOut: false, ...row })) ?? null;
}

/** Put what was chosen on the list, at its end or in the place of an archive that is taken off; gives its archives. */
export function add(chosen, instead = null) {
  const named = new Intl.Collator(undefined, { numeric: true }); // as file managers show them: visit2 before visit10
  const added = [...chosen].sort((one, other) => named.compare(one.name, other.name)).map((one) => new Pick(one));
  const at = archives.indexOf(instead);
  if (at < 0) archives.push(...added);
  else archives.splice(at, 1, ...added);
  if (picks.includes(instead)) picks.splice(picks.indexOf(instead), 1);
  picks.push(...added);
  next();
  unforeseen();
  changed();
  return added;
}

/** Take archives off the list. */
export function remove(...gone) {
  for (const pick of gone) {
    pick.stop();
    for (const list of [picks, archives]) if (list.includes(pick)) list.splice(list.indexOf(pick), 1);
  }
  next();
  unforeseen();
  changed();
}

/** The upload of an archive was begun: how it is named stays as it is. */
export function sent(pick, transfer) {
  pick.stop();
  pick.transfer = transfer;
  if (picks.includes(pick)) picks.splice(picks.indexOf(pick), 1);
  next();
  changed(pick);
}

/** List an upload that goes on from before, of a file that was chosen again. */
export function addSent(source, transfer) {
  const pick = new Pick(source);
  archives.push(pick);
  sent(pick, transfer);
  changed();
}

/** Change how one study is named or whether it is included, as a step that can be undone. */
export function edit(pick, study, change) {
  history.step(() => pick.edit(study, change));
  pick.settle();
}

/** Something that can't stand there is written into a cell, or (text "") no longer. */
export function mark(pick, study, column, text) {
  if (pick.mark(study.key, column, text)) changed(pick);
}

/** Change many labels, {pick, one, column, label} each, as one step. */
export function relabel(changes) {
  history.step(() => changes.forEach(({ pick, one, column, label }) => pick.edit(one.study, { [column]: label })));
  settleAll();
}

/** Edit every study as `rows` of a table say, those too that are found later. */
export function tabulateAll(rows) {
  stepOfTable(rows, () => {
    for (const pick of picks) {
      pick.untable();
      pick.tabulate();
    }
  });
  settleAll();
}

/** Undo every change, and the table; the last step can undo this, too. */
export function undoAll() {
  undos += 1;
  stepOfTable([], () => {
    for (const pick of picks) {
      for (const key of pick.edits.keys()) history.note(pick.edits, key);
      pick.edits.clear();
      pick.invalid.clear();
    }
  });
  settleAll();
}

/** A step after which another table holds; it is kept where nothing is edited yet, too. */
function stepOfTable(rows, change) {
  const before = table;
  const made = (step) => {
    table = { rows, step };
    change();
    step.asked = []; // from here on: what is found later
  };
  history.step(made, { isKept: rows.length > 0 || before.rows.length > 0, table: before, asked: [] });
}

/** Undo the last step; gives how many studies it is about, or null where there is none. */
export function undo() {
  const undone = history.undo(new Set(picks.map((pick) => pick.edits)));
  if (undone === null) return null;
  const { step, count } = undone;
  undos += 1;
  if (step.table) {
    table = step.table; // and what was found since is asked of it
    for (const { pick, key } of step.asked) pick.untable(key);
    for (const pick of picks) pick.tabulate();
  }
  settleAll();
  return count;
}

/** Whether something can be undone: a step, what was changed before a reload, or a table that holds for later archives. */
export const isEdited = () => table.rows.length > 0 || (picks.length > 0 && !history.isEmpty) || picks.some((pick) => pick.edits.size > 0);

/** Whether everything is looked into, and the server has said what is there. */
export function isComplete() {
  return picks.every((pick) => pick.state === "done") && timer === null;
}

/** The form says something else: everything is named anew. */
export function settleAll() {
  nameAll();
  for (const pick of picks) changed(pick);
  askLater();
}

function nameAll() {
  for (const pick of picks) pick.settle(false);
  unforeseen();
}

function next() {
  const looking = picks.filter((pick) => pick.state === "looking").length;
  for (const pick of picks.filter((one) => one.state === "waiting").slice(0, Math.max(0, LOOKING - looking))) pick.look();
}

// -- what the server has --------------------------------------------------------------------------------------------

let timer = null;

/** What is there may have changed: an upload of this page has ended. */
export function forgetKnown() {
  forgetAnswers();
  askLater();
}

function askLater() {
  clearTimeout(timer);
  const mine = setTimeout(async () => {
    if (await askKnown(picks.flatMap((pick) => pick.taken))) {
      nameAll();
      await askKnown(picks.flatMap((pick) => pick.taken));
    }
    unforeseen();
    if (timer === mine) timer = null; // else something changed meanwhile, and it is asked again
    for (const pick of picks) changed(pick);
  }, ASK_AFTER);
  timer = mine;
}
