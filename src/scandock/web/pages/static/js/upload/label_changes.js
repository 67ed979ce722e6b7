// Which labels of many studies change: by a text for each, by a block of cells out of a spreadsheet, or by one text for all.

import { plural } from "../live/figures.js";
import { clean, UNASSIGNED } from "./labels.js";
import { problemOf, projectNamed } from "./options.js";
import { isByServer } from "./privacy.js";
import { wordsOf } from "./study_words.js";

/** Columns that can be changed, as they stand side by side. */
export const LABELS = ["project", "subject", "session"];

/** What a label is; "" for one that the server sets. */
export function labelOf(one, column) {
  if (isByServer(one, column)) return "";
  if (column === "project") return one.project === UNASSIGNED ? "" : one.project;
  return column === "session" ? one.label : one.subject;
}

/** What a text becomes in a column; "" where it can't stand there. */
export const valueOf = (column, text) => (column === "project" ? projectNamed(text) : clean(text));

/** Why a text can't stand in a column; "" where it can. */
export function problemIn(column, text) {
  if (!text.trim() || valueOf(column, text)) return "";
  return column === "project" ? problemOf(text.trim()) : "A label needs a letter or digit.";
}

const CELLS = { project: "Project", subject: "Subject", session: "Session label" };

/** What a cell is called, by the words of its row. */
export const cellName = (column, { study, patient }) => `${CELLS[column]} of ${study}, ${patient}`;

/** What is written into cells of these archives and can't stand there, by the first of them; "" for nothing. */
export function invalidWords(picks) {
  const cells = picks.flatMap((pick) => pick.invalidCells).filter(({ column, text }) => problemIn(column, text));
  if (!cells.length) return "";
  const [{ one, column, text }] = cells;
  const others = cells.length > 1 ? ` ${plural(cells.length - 1, "other cell")} can't be saved either.` : "";
  return `${cellName(column, wordsOf(one))}: ${problemIn(column, text)}${others}`;
}

/** {changes: [{pick, one, column, label}], labels, empty} for rows of {pick, one}, where `textOf(one, pick, n)` gives each
 * its text: `labels` is what each row will have, `empty` how many texts have no letter or digit, whose rows stay. */
export function planLabels(rows, column, textOf) {
  const plan = { changes: [], labels: [], empty: 0 };
  rows.forEach(({ pick, one }, at) => {
    const label = valueOf(column, textOf(one, pick, at + 1));
    const before = labelOf(one, column);
    plan.labels.push(label || before);
    if (!label) plan.empty += 1;
    else if (label !== before) plan.changes.push({ pick, one, column, label });
  });
  return plan;
}

/** {changes, pasted, empty, unknown, left, wide} of a block of cells that begins at the first of `rows` and `column`: how
 * many values it gives, the lines that have no letter or digit, those that name no project that one may upload to, and
 * how many lines and columns have no place. */
export function planBlock(rows, column, block) {
  const columns = LABELS.slice(LABELS.indexOf(column));
  const plan = { changes: [], pasted: 0, empty: [], unknown: [], left: Math.max(0, block.length - rows.length), wide: 0 };
  block.slice(0, rows.length).forEach((cells, at) => {
    const { pick, one } = rows[at];
    plan.wide = Math.max(plan.wide, cells.length - columns.length);
    cells.slice(0, columns.length).forEach((text, step) => {
      if (!text.trim()) return; // an empty cell says nothing
      const label = valueOf(columns[step], text);
      if (!label) (columns[step] === "project" ? plan.unknown : plan.empty).push(at + 1);
      else plan.pasted += 1;
      if (label && label !== labelOf(one, columns[step])) plan.changes.push({ pick, one, column: columns[step], label });
    });
  });
  return plan;
}

/** The cells that a spreadsheet puts on the clipboard: lines of cells between tabs; those with breaks or tabs in them
 * stand in quotation marks. */
export function parseBlock(text) {
  const rows = [[""]];
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const [char, row] = [text[at], rows.at(-1)];
    if (quoted && char === '"' && text[at + 1] !== '"') quoted = false;
    else if (quoted) {
      row[row.length - 1] += char;
      if (char === '"') at += 1;
    } else if (char === '"' && row.at(-1) === "" && isQuoted(text, at)) quoted = true;
    else if (char === "\t") row.push("");
    else if (char === "\n" || char === "\r") {
      if (char === "\r" && text[at + 1] === "\n") at += 1;
      rows.push([""]);
    } else row[row.length - 1] += char;
  }
  while (rows.length > 1 && rows.at(-1).every((cell) => !cell.trim())) rows.pop(); // the break at the end
  return rows;
}

/** Whether the quotation mark at `at` begins a cell that another one ends; else it is a sign of the text. */
function isQuoted(text, at) {
  const whole = /"(?:[^"]|"")*"(?=[\t\r\n]|$)/y;
  whole.lastIndex = at;
  return whole.test(text);
}
