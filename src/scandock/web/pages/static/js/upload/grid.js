// The labels of all studies as the cells of a grid: keys from row to row, filling down, pasting blocks, and undoing.

import { plural } from "../live/figures.js";
import { button, make, set, show } from "./dom.js";
import { LABELS, labelOf, parseBlock, planBlock, planLabels } from "./label_changes.js";
import { archives, isEdited, keyOf, picks, relabel, undo, undoAll } from "./picks.js";

const CELL = "input[data-column]";
const WORDS = { project: "Project", subject: "Subject", session: "Session" };
const TOLD = 10; // lines that are named

/** A line above `list` with its buttons, and `refresh()`; `say` is told in words what was done. */
export function gridOf(list, say) {
  const last = {}; // by column, the cell that had the focus last: {pick, key}
  const told = make("span", { class: "up-edited", hidden: true });
  const fill = (column) => () => fillDown(column);
  const fillButton = (column, more = {}) => button("Fill down", fill(column), { kind: "quiet", of: WORDS[column], ...more });
  const narrow = make("span", { class: "up-fills" }, ...LABELS.map((column) => Object.assign(button(`Fill ${column} down`, fill(column), { kind: "quiet" }), { className: column === "project" ? "quiet up-goes" : "quiet" })));
  const projects = button("", () => showProjects(), { kind: "quiet" });
  const undoing = make("span", { class: "up-undo", hidden: true }, button("Undo", undoLast, { kind: "quiet" }), button("Undo all changes", undoEvery, { kind: "quiet" }));
  const keys = make("span", { class: "help up-keys" }, "Enter goes to the next row. Ctrl+D fills down. A column pasted from a spreadsheet fills the rows below.");
  const line = make("p", { class: "up-grid", hidden: true }, narrow, projects, undoing, told, keys);
  const heads = [...list.querySelectorAll("th[data-label]")].map((head) => {
    const filler = fillButton(head.dataset.label);
    filler.title = "Copies the label that had the focus last, or the first one, into the rows below";
    head.append(" ", filler);
    return filler;
  });

  line.refresh = () => {
    const isMany = picks.reduce((sum, pick) => sum + pick.decisions.length, 0) > 1;
    for (const one of [...heads, narrow, keys]) show(one, isMany);
    const isEach = list.hasProjects;
    line.classList.toggle("up-each", isEach);
    show(projects, isMany && !list.needsProjects);
    set(projects, isEach ? "Hide projects" : "Project per study");
    show(undoing, isEdited());
    show(line, isMany || isEdited());
  };

  function showProjects() {
    list.showProjects(!list.hasProjects);
    line.refresh();
  }

  function tell(words) {
    set(told, words);
    show(told, words !== "");
    say(words);
    queueMicrotask(() => { // once the rows show it
      const { activeElement: cell } = document;
      if (list.contains(cell) && cell.matches(CELL)) cell.value = cell.defaultValue;
    });
  }

  /** The rows of a column that can be changed and are seen, from the cell's on; from the first one for null. */
  function rowsFrom(cell) {
    const rows = rowsSeen(list);
    const at = cell === null ? 0 : rows.findIndex(({ pick, one }) => pick === cell.pick && one.study.key === cell.key);
    return rows.slice(Math.max(at, 0));
  }

  function fillDown(column) {
    const rows = rowsFrom(last[column] ?? null);
    if (rows.length < 2) return tell("No row below to fill.");
    const label = labelOf(rows[0].one, column);
    if (!label && column !== "project") return tell("The first row's label is set by the server: write one to fill down.");
    const { changes } = planLabels(rows.slice(1), column, () => label);
    const isGiven = Boolean(rows[0].pick.edits.get(rows[0].one.study.key)?.[column]);
    relabel(isGiven ? changes : [{ ...rows[0], column, label }, ...changes]); // else a suffix would tell the first one apart
    return tell(`${label} filled into ${plural(rows.length - 1, "row")} below.`);
  }

  function paste(cell, column, text) {
    const rows = rowsFrom(cell);
    const { changes, pasted, empty, unknown, left, wide } = planBlock(rows, column, parseBlock(text));
    relabel(changes);
    const lines = (some) => `${some.length === 1 ? "line" : "lines"} ${some.slice(0, TOLD).join(", ")}${some.length > TOLD ? " …" : ""}`;
    const words = [
      `${plural(pasted, "label")} pasted.`,
      empty.length ? `No letter or digit in ${lines(empty)}: not changed.` : "",
      unknown.length ? `No project that you can upload to in ${lines(unknown)}: not changed.` : "",
      left ? `${plural(left, "line")} more than rows: not pasted.` : "",
      wide > 0 ? `${plural(wide, "column")} right of Session: not pasted.` : "",
    ];
    tell(words.filter(Boolean).join(" "));
  }

  function undoLast() {
    const count = undo();
    tell(count === null ? "Nothing to undo." : count ? `Undone: ${plural(count, "study", "studies")} as before.` : "Undone.");
  }

  function undoEvery() {
    undoAll();
    tell("All labels are back to what the images give.");
  }

  list.addEventListener("focusin", ({ target }) => {
    if (target.matches(CELL)) last[target.dataset.column] = cellOf(target);
  });
  list.addEventListener("keydown", (event) => {
    const { target, key } = event;
    if (!target.matches(CELL) || event.isComposing || event.altKey) return;
    const act = actOf(event);
    if (act === null) return;
    event.preventDefault();
    event.stopPropagation(); // Enter begins no upload
    if (act === "undo") undoLast();
    else if (act === "back") restore(target);
    else if (act === "fill") {
      target.dispatchEvent(new Event("change", { bubbles: true }));
      if (!target.hasAttribute("aria-invalid")) fillDown(target.dataset.column);
    } else step(list, target, act, key === "Enter");
  });
  list.addEventListener("paste", (event) => {
    const { target } = event;
    const text = event.clipboardData?.getData("text/plain") ?? "";
    if (!target.matches(CELL) || !/[\t\r\n]/.test(text.replace(/[\r\n]+$/, ""))) return;
    event.preventDefault();
    restore(target);
    paste(cellOf(target), target.dataset.column, text);
  });
  return line;
}

/** What a key does in a cell: "next", "previous", "back", "fill", "undo", or null. */
function actOf({ key, shiftKey, ctrlKey, metaKey, target }) {
  if (ctrlKey || metaKey) {
    if (key.toLowerCase() === "d") return "fill";
    return key.toLowerCase() === "z" && !shiftKey && target.value === target.defaultValue ? "undo" : null; // else of what is typed
  }
  if (key === "Enter") return shiftKey ? "previous" : "next";
  if (shiftKey) return null;
  return { ArrowDown: "next", ArrowUp: "previous", Escape: "back" }[key] ?? null;
}

/** What was there before is there again. */
function restore(cell) {
  cell.value = cell.defaultValue;
  cell.dispatchEvent(new Event("change", { bubbles: true }));
}

/** Go to the same column's cell in the next or previous row; what is written is taken as one leaves. */
function step(list, cell, way, isEntered) {
  const cells = [...list.querySelectorAll(`input[data-column="${cell.dataset.column}"]`)].filter((one) => !one.disabled && !one.hidden && one.closest("[hidden]") === null);
  const to = cells[cells.indexOf(cell) + (way === "next" ? 1 : -1)];
  if (to === undefined) {
    if (isEntered) cell.dispatchEvent(new Event("change", { bubbles: true }));
    return;
  }
  to.focus();
  if (cell.hasAttribute("aria-invalid")) cell.focus();
  else to.select();
}

function cellOf(input) {
  const { archive } = input.closest("[data-archive]").dataset;
  return { pick: archives.find((pick) => pick.id === archive), key: input.closest("[data-study]").dataset.study };
}

/** {pick, one} of every study that is included and can be changed, in the list's order, but for rows that a filter hides. */
function rowsSeen(list) {
  const seen = new Map([...list.querySelectorAll("tbody[data-archive]")].map((body) => [body.dataset.archive, body]));
  const isFiltered = list.querySelector("tr.up-study[hidden]") !== null;
  const shown = (pick) => new Set([...seen.get(pick.id).querySelectorAll("tr.up-study:not([hidden])")].map((row) => row.dataset.study));
  return archives.filter((pick) => pick.transfer === null).flatMap((pick) => {
    const keys = isFiltered ? shown(pick) : null;
    const taken = pick.taken.filter(({ study }) => (keys === null || keys.has(study.key)) && keyOf(study, pick.studies) !== null);
    return taken.map((one) => ({ pick, one }));
  });
}
