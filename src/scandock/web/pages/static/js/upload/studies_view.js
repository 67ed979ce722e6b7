// The row of one study: what it is, how it will be called, what will happen to it, and at last what came of it.

import { root } from "../site.js";
import { HELD_FOR, REFUSED_FOR, SESSIONS } from "../states.js";
import { keyed, make, set, show } from "./dom.js";
import { cellName, LABELS, labelOf, problemIn, valueOf } from "./label_changes.js";
import { edit, keyOf, mark } from "./picks.js";
import { BY_SERVER, isByServer } from "./privacy.js";
import { fillPicture, showThumbnail } from "./pictures.js";
import { wordsOf, wordsOfOutcome } from "./study_words.js";
import { isOver, stateOfSession } from "./totals.js";

/** Columns of the list, and their widths in a table; heads that are not seen are read. */
export const COLUMNS = [
  { words: "Include", class: "up-include", unseen: true },
  { words: "Picture", class: "up-picture", unseen: true },
  { words: "Patient" },
  { words: "Study" },
  { words: "Date", class: "up-date" },
  { words: "Scans", class: "n" },
  { words: "Images", class: "n" },
  { words: "Project", class: "up-label up-goes", label: "project" },
  { words: "Subject", class: "up-label", label: "subject" },
  { words: "Session", class: "up-label", label: "session" },
  { words: "What will happen", class: "up-happens" },
];

const NO_PLAN = { verdict: "", words: "" };

/** A row that shows {one, outcome} of an archive, by `refresh(row, shared)`; `shared` has the warnings that stand above
 * the table. `about` and `doing` take what belongs to the archive where this is its only row. */
export function studyRow(pick, key) {
  let now = { one: null, outcome: null };
  let before = null; // what the row shows
  const change = (what) => {
    if (now.one === null || pick.transfer) return;
    before = null; // fields show what is written into them
    edit(pick, now.one.study, what);
  };
  const marked = (column, text) => now.one !== null && !pick.transfer && mark(pick, now.one.study, column, text);
  const include = make("input", { type: "checkbox" });
  include.addEventListener("change", () => change({ leaveOut: !include.checked }));
  const [project, subject, session] = LABELS.map((column) => labelField(column, { change: (text) => change({ [column]: text }), mark: (text) => marked(column, text) }));
  const [patient, study, date, images, plan] = Array.from({ length: 5 }, () => make("span"));
  const [ids, facts] = [make("span", { class: "meta" }), make("span", { class: "meta" })];
  const scans = make("td", { class: "n", "data-head": "Scans" });
  const icon = make("span", { class: "up-icon" });
  const picture = make("td", { class: "up-picture", "data-study": key }, icon);
  fillPicture(picture);
  const state = make("span", { class: "state", hidden: true });
  const notes = make("ul", { class: "up-notes" });
  const link = make("a", { class: "button", hidden: true });
  const about = make("div");
  const doing = make("div", { class: "up-doing" });
  const row = make(
    "tr",
    { class: "up-study", "data-study": key },
    make("td", { class: "up-include" }, include),
    picture,
    make("th", { scope: "row" }, patient, ids),
    make("td", { class: "up-what" }, study, " ", facts, about),
    make("td", { class: "up-date", "data-head": "Date" }, date),
    scans,
    make("td", { class: "n", "data-head": "Images" }, images),
    make("td", { class: "up-label up-goes", "data-head": "Project" }, project.element),
    make("td", { class: "up-label", "data-head": "Subject" }, subject.element),
    make("td", { class: "up-label", "data-head": "Session" }, session.element),
    make("td", { class: "up-happens" }, state, plan, link, notes, doing),
  );
  row.about = about;
  row.doing = doing;
  row.refresh = ({ one, outcome }, shared) => {
    now = { one, outcome };
    const isSent = pick.transfer !== null;
    const isEditable = one !== null && !isSent && keyOf(one.study, pick.studies) !== null;
    const own = pick.edits.get(key) ?? {};
    const invalid = isSent ? {} : (pick.invalid.get(key) ?? {});
    const words = one === null ? wordsOfOutcome(outcome) : wordsOf(one);
    const told = one === null || isSent ? [] : (one.forecast?.notes ?? []).filter(({ kind, words }) => kind !== "there" && !shared.has(words));
    const planned = one === null || (isSent && isOver(pick.transfer)) ? NO_PLAN : (one.forecast ?? NO_PLAN);
    const shows = JSON.stringify([words, one?.project, one?.subject, one?.label, one?.leftOut, own, invalid, isEditable, isSent, planned.verdict, planned.words, told]);
    if (outcome === null && shows === before) return; // of 300 rows nearly all stay as they are when one is changed
    before = outcome === null ? shows : null;
    set(patient, words.patient);
    set(ids, words.ids);
    set(study, words.study);
    set(facts, words.modalities);
    set(date, words.date);
    set(scans, words.scans);
    set(images, words.images);
    set(icon, words.icon);
    if (outcome?.thumbnail) showThumbnail(picture, outcome.thumbnail);
    show(include, one !== null && !isSent);
    include.checked = one !== null && !one.leftOut;
    include.disabled = !isEditable;
    include.setAttribute("aria-label", `Include ${words.study} of ${words.patient}`);
    row.classList.toggle("up-left", one?.leftOut === true);
    const about = { of: words, isEditable: isEditable && !one?.leftOut, isSent };
    project.refresh(outcome?.project ?? outcome?.then.project ?? (one === null ? "" : labelOf(one, "project")), { ...about, edited: Boolean(own.project), invalid: invalid.project });
    const hides = (column) => outcome === null && isByServer(one, column);
    const offered = (column, label) => (hides(column) ? "" : label);
    subject.refresh(outcome?.subject ?? outcome?.then.subject ?? offered("subject", one?.subject || own.subject || ""), { ...about, edited: Boolean(own.subject), invalid: invalid.subject, byServer: hides("subject") });
    session.refresh(outcome?.label ?? outcome?.then.label ?? offered("session", one?.label ?? ""), { ...about, edited: Boolean(own.session), invalid: invalid.session, byServer: hides("session") });
    outcomeInto({ state, plan, link, notes }, { planned, told, outcome });
  };
  return row;
}

/** What will happen, or what has: its state, a sentence, and where it leads to. */
function outcomeInto({ state, plan, link, notes }, { planned: { verdict, words }, told, outcome }) {
  show(state, outcome !== null);
  show(link, Boolean(outcome?.page));
  if (outcome !== null) {
    const is = SESSIONS[stateOfSession(outcome)];
    set(state, is.word);
    state.className = `state ${is.look}`;
    plan.className = "up-plan";
    set(plan, whyOf(outcome) || placeOf(outcome));
    if (outcome.page && link.getAttribute("href") !== root + outcome.page) {
      link.href = root + outcome.page;
      window.htmx?.process(link.parentElement);
    }
    set(link, is.link);
    link.setAttribute("aria-label", `${is.link}: ${outcome.label}`);
    return keyed(notes, [], () => "", () => null);
  }
  plan.className = `up-plan ${verdict}`;
  set(plan, words);
  return keyed(notes, told, ({ kind, words }) => kind + words, ({ kind, words }) => make("li", { class: kind }, words));
}

/** Why a session is held, or was refused; "" for others. */
function whyOf({ now, code, message }) {
  if (now === "needs_decision") return HELD_FOR[code] ?? message;
  return now === "refused" ? (REFUSED_FOR[code] ?? message) : "";
}

function placeOf({ project, label, then }) {
  const from = label && then.label && then.label !== label ? `, received as ${then.label}` : "";
  return project ? `in ${project}${from}` : "";
}

/** A label or project that can be changed; an empty one is again what the images or the form give. `acts`: {change(label),
 * mark(text)} for what can't stand there, which is kept and shown until it is written over. */
function labelField(column, acts) {
  const input = make("input", { "data-column": column, autocomplete: "off", autocapitalize: "none", spellcheck: "false", maxlength: "200" });
  const said = make("span", { class: "help", role: "status" });
  const fixed = make("span", { class: "up-fixed", hidden: true });
  let now = "";
  input.addEventListener("change", () => {
    const text = input.value.trim();
    const problem = text === now ? "" : problemIn(column, text);
    if (problem) return refuse(problem, text);
    if (input.hasAttribute("aria-invalid")) set(said, "");
    input.removeAttribute("aria-invalid");
    if (text === now) return acts.mark("");
    const label = valueOf(column, text);
    set(said, label && label !== text && column !== "project" ? `Saved as ${label}.` : "");
    return acts.change(label);
  });
  function refuse(problem, text) {
    set(said, problem);
    input.setAttribute("aria-invalid", "true");
    acts.mark(text);
  }
  const refresh = (label, { of, isEditable, isSent, edited, invalid = "", byServer = false }) => {
    input.placeholder = byServer ? BY_SERVER : "";
    const problem = problemIn(column, invalid);
    if (problem) {
      now = label;
      if (document.activeElement !== input) input.value = invalid;
      set(said, problem);
      input.setAttribute("aria-invalid", "true");
    } else if (now !== label || !edited || input.hasAttribute("aria-invalid")) {
      now = label;
      if (document.activeElement !== input || input.value.trim() === "" || valueOf(column, input.value) === label) input.value = label;
      if (input.hasAttribute("aria-invalid")) set(said, "");
      input.removeAttribute("aria-invalid");
    }
    if (input.defaultValue !== label) input.defaultValue = label; // what Escape brings back
    show(input, !isSent);
    show(fixed, isSent);
    if (isSent) set(said, "");
    set(fixed, label || (byServer ? BY_SERVER : ""));
    input.disabled = !isEditable;
    input.classList.toggle("edited", edited);
    input.setAttribute("aria-label", cellName(column, of));
  };
  return { element: make("span", {}, input, fixed, said), refresh };
}
