// The mapping: a table that says where studies go, read and written as src/scandock/rules/mapping.py reads it.

import { plural } from "../live/figures.js";
import { clean, fold, isProjectId } from "./labels.js";
import { shown } from "./names.js";
import { isSlip } from "./slips.js";

const KEYS = ["study_uid", "patient_id", "folder"];
const TARGETS = ["project", "subject", "session"];
const LEAVE_OUT = "leave_out";
export const COLUMNS = [...KEYS, ...TARGETS, LEAVE_OUT];
const NAMES = new Map([
  ...COLUMNS.map((name) => [name.replaceAll("_", ""), name]),
  ["studyinstanceuid", "study_uid"],
  ["sessionlabel", "session"],
  ["subjectlabel", "subject"],
]);
const TRUE = new Set(["yes", "true", "1", "x", "y"]);
const FALSE = new Set(["", "no", "false", "0", "n"]);
const UNKNOWN = "?"; // what the name of a column begins with that is not known
const MOST_ROWS = 200_000;
const MOST_COLUMNS = 100;
const WORKBOOKS = [[0x50, 0x4b, 3, 4], [0xd0, 0xcf, 0x11, 0xe0]]; // how files of Excel and LibreOffice begin
const ARCHIVE_SUFFIX = /\.(zip|tar|tgz|tar\.(gz|bz2|xz|zst))$/i;

export class MappingError extends Error {}

/** The rows of a pasted or dropped table, each with its line as `number`. MappingError names the row that is wrong.
 *
 * `isWhole`: a row with fewer cells than the header is wrong, too, as cells may have been lost; the server takes them as empty.
 */
export function parseMapping(text, { isWhole = false } = {}) {
  const body = text.replace(/^\ufeff+/, "");
  const rows = /^\s*[[{]/.test(body) ? jsonRows(body) : csvRows(body, isWhole);
  if (rows.length > MOST_ROWS) throw new MappingError(`The table has more than ${MOST_ROWS.toLocaleString("en")} rows.`);
  if (!rows.length) throw new MappingError("The table has no rows.");
  return rows;
}

/** The first row that matches a study, or null. */
export function rowFor(rows, study) {
  return (rows ?? []).find((row) => matches(row, study)) ?? null;
}

/** All rows that match a study; the first one counts. */
export function rowsFor(rows, study) {
  return rows.filter((row) => matches(row, study));
}

/** A mapping as CSV: `rows` of {study_uid | patient_id | folder, project, subject, session, leaveOut}. */
export function writeMapping(rows) {
  const cell = (text) => (/[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const value = (row, name) => (name === LEAVE_OUT ? (row.leaveOut ? "yes" : "") : (row[name] ?? ""));
  const used = COLUMNS.filter((name) => name === "study_uid" || rows.some((row) => value(row, name)));
  const lines = rows.map((row) => used.map((name) => cell(value(row, name))).join(","));
  return [used.join(","), ...lines].join("\n") + "\n";
}

/** {text, encoding} of a table's file: UTF-8, UTF-16 with its mark, else Windows-1252, as spreadsheets write it.
 * MappingError where it is no text. */
export function decodeMapping(bytes) {
  if (WORKBOOKS.some((begin) => begin.every((byte, at) => bytes[at] === byte))) {
    throw new MappingError("The file is a spreadsheet's own format: save the table as CSV (UTF-8) and read that.");
  }
  const decoded = decode(bytes);
  if (decoded.text.includes("\0")) throw new MappingError("The file is not text in UTF-8 or UTF-16: save the table as CSV (UTF-8) and read that.");
  return decoded;
}

function decode(bytes) {
  const mark = bytes[0] * 256 + bytes[1];
  if (mark === 0xfffe) return { text: new TextDecoder("utf-16le").decode(bytes), encoding: "UTF-16" };
  if (mark === 0xfeff) return { text: new TextDecoder("utf-16be").decode(bytes), encoding: "UTF-16" };
  try {
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes), encoding: "UTF-8" };
  } catch {
    return { text: new TextDecoder("windows-1252").decode(bytes), encoding: "Windows-1252" };
  }
}

function matches(row, study) {
  if (row.study_uid && row.study_uid !== study.uid) return false;
  if (row.patient_id && row.patient_id !== study.common("PatientID")) return false;
  return !row.folder || standsIn(study, pieces(row.folder));
}

/** One or more folder names side by side; an archive within counts as a folder, with or without its suffix. */
function standsIn(study, wanted) {
  if (!wanted.length) return false;
  return study.folders.some((folder) => {
    const whole = pieces(folder);
    return [whole, whole.map((piece) => piece.replace(ARCHIVE_SUFFIX, ""))].some((path) =>
      path.some((_, at) => wanted.every((piece, step) => path[at + step] === piece)),
    );
  });
}

const pieces = (path) => path.split(/[/\\!]+/).filter((piece) => piece !== "" && piece !== ".");

function csvRows(text, isWhole) {
  const separator = /^"?sep=([,;\t|])"?(?=[\r\n]|$)/i.exec(text);
  const body = separator === null ? text : text.slice(separator[0].length);
  const first = body.split(/\r\n|\r|\n/).find((line) => line.trim()) ?? "";
  const tally = (mark) => first.split(mark).length;
  const best = [",", ";", "\t"].reduce((one, other) => (tally(other) > tally(one) ? other : one));
  let columns = null;
  const rows = [];
  for (const { number, cells } of records(body, separator === null ? best : separator[1])) {
    if (!cells.some((cell) => cell.trim())) continue;
    if (columns === null) {
      columns = columnsOf(cells.map((cell) => cell.trim()), number);
      if (!columns.some((name) => KEYS.includes(name))) {
        throw bad(number, `has no column that chooses studies: one of ${KEYS.join(", ")}`);
      }
      continue;
    }
    const isLong = cells.slice(columns.length).some((cell) => cell.trim());
    const isShort = isWhole && columns.slice(cells.length).some((name) => name !== "");
    if (isLong || isShort) {
      throw bad(number, `has ${plural(cells.length, "cell")}, and the header ${columns.length}`);
    }
    rows.push(rowOf(number, columns, cells));
  }
  if (columns === null) throw new MappingError("The table is empty.");
  return rows;
}

/** The records of a CSV (RFC 4180) with the number of their last line; blanks before a cell are no part of it. */
function* records(text, mark) {
  let [cells, cell, number, at] = [[], "", 1, 0];
  let [quoted, fresh, ended] = [false, true, false];
  for (; at < text.length; at += 1) {
    const char = text[at];
    const isBreak = char === "\n" || (char === "\r" && text[at + 1] !== "\n");
    if (quoted) {
      if (char === '"' && text[at + 1] === '"') [cell, at] = [cell + char, at + 1];
      else if (char === '"') [quoted, ended] = [false, true];
      else cell += char;
      if (isBreak) number += 1;
    } else if (char === '"' && fresh) [quoted, fresh] = [true, false];
    else if (char === mark) {
      cells.push(cell);
      [cell, fresh, ended] = ["", true, false];
    } else if (isBreak) {
      cells.push(cell);
      yield { number, cells };
      [cells, cell, fresh, ended, number] = [[], "", true, false, number + 1];
    } else if (ended && char !== "\r") {
      throw bad(number, `, column ${cells.length + 1}: can't be read, text follows a quotation mark`);
    } else if (char !== "\r" && !(fresh && char === " ")) [cell, fresh] = [cell + char, false];
  }
  if (quoted) throw bad(/[\r\n]$/.test(text) ? number - 1 : number, `, column ${cells.length + 1}: can't be read, a quotation mark is not closed`);
  if (cell || cells.length) yield { number, cells: [...cells, cell] };
}

function jsonRows(text) {
  let data;
  try {
    data = JSON.parse(text);
  } catch {
    throw new MappingError("The table is not valid JSON.");
  }
  const list = Array.isArray(data) ? data : data?.rows;
  if (!Array.isArray(list)) throw new MappingError("The JSON must be a list of rows, or an object with “rows”.");
  return list.map((item, at) => {
    if (item === null || typeof item !== "object" || Array.isArray(item)) throw bad(at + 1, "is not an object");
    const columns = columnsOf(Object.keys(item), at + 1);
    return rowOf(at + 1, columns, Object.values(item).map((value, place) => textOf(at + 1, columns[place], value)));
  });
}

/** The text of a JSON value, which is a text, a whole number, or nothing. */
function textOf(number, column, value) {
  if (value === null) return "";
  if (typeof value === "boolean" && column === LEAVE_OUT) return value ? "yes" : "no";
  if (typeof value === "string" || Number.isInteger(value)) return String(value);
  throw bad(number, `, column ${column.replace(UNKNOWN, "")}: is not text`);
}

function columnsOf(names, number) {
  if (names.length > MOST_COLUMNS) throw bad(number, `has more than ${MOST_COLUMNS} columns`);
  const columns = [];
  for (const name of names) {
    let column = NAMES.get(fold(name.replace(/[\s_-]/g, "")));
    if (column === undefined && name) {
      if (isSlip(fold(name), COLUMNS)) throw bad(number, `names an unknown column “${shown(name)}”: known are ${COLUMNS.join(", ")}`);
      column = UNKNOWN + name;
    }
    if (column !== undefined && columns.includes(column)) throw bad(number, `names the column ${shown(column.replace(UNKNOWN, ""))} twice`);
    columns.push(column ?? "");
  }
  return columns;
}

function rowOf(number, columns, cells) {
  const row = { number, leaveOut: false };
  const unknown = columns.filter((name) => name.startsWith(UNKNOWN));
  if (unknown.length) row.unknown = unknown.map((name) => name.slice(1));
  columns.forEach((name, at) => {
    if (!name.startsWith(UNKNOWN)) row[name] = (cells[at] ?? "").trim();
  });
  if (row[""]) throw bad(number, "has a value under a column without a name");
  delete row[""];
  const out = fold(row[LEAVE_OUT] ?? "");
  if (!TRUE.has(out) && !FALSE.has(out)) throw bad(number, `, column ${LEAVE_OUT}: “${row[LEAVE_OUT]}” is neither yes nor no`);
  row.leaveOut = TRUE.has(out);
  const says = row.leaveOut || TARGETS.some((name) => row[name]);
  if (says && !KEYS.some((name) => row[name])) throw bad(number, `chooses no study: fill one of ${KEYS.join(", ")}`);
  if (row.project && !isProjectId(row.project)) throw bad(number, `, column project: “${row.project}” is not a project ID`);
  for (const name of ["subject", "session"]) {
    if (row[name] && !clean(row[name])) throw bad(number, `, column ${name}: “${row[name]}” has no letter or digit`);
  }
  return row;
}

function bad(number, what) {
  return new MappingError(`Row ${number} of the table${what.startsWith(",") ? "" : " "}${what}.`);
}
