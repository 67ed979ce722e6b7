// What a table comes to, in words: which of its rows fit studies, which of them count, and which columns say nothing.

import { number, plural } from "../live/figures.js";
import { COLUMNS, rowsFor } from "./mapping_csv.js";
import { shown } from "./names.js";

const NAMED = 10; // rows or columns that are named

/** The words for some rows and the studies on the list; `isLater`: more studies may be found. */
export function tableWords(rows, studies, { isLater = false } = {}) {
  const fits = studies.map((study) => rowsFor(rows, study)).filter((some) => some.length > 0);
  const fitting = new Set(fits.flat());
  const unused = rows.filter((row) => !fitting.has(row)).map((row) => row.number);
  const left = !isLater && fitting.size && unused.length ? ` ${rowWords(unused)} of the table ${unused.length === 1 ? "fits" : "fit"} none.` : "";
  const later = isLater ? " so far; the table holds for those found later, too" : "";
  return `${fitWords(fitting.size, rows.length, fits.length)}${later}.${left}${overlapping(fits)}${unknownColumns(rows)}`;
}

function fitWords(fitting, rows, studies) {
  if (!fitting) return rows === 1 ? "The one row fits no study" : `None of ${number(rows)} rows fits a study`;
  return `${number(fitting)} of ${plural(rows, "row")} ${fitting === 1 ? "fits" : "fit"} ${plural(studies, "study", "studies")}`;
}

/** Of rows that fit a study for which an earlier row counts. */
function overlapping(fits) {
  const [first, ...others] = fits.filter((some) => some.length > 1);
  if (first === undefined) return "";
  const more = others.length ? ` So do other rows for ${plural(others.length, "other study", "other studies")}: the first one counts.` : "";
  return ` ${rowWords(first.map((row) => row.number))} fit the same study: row ${first[0].number} counts.${more}`;
}

function unknownColumns(rows) {
  const names = [...new Set(rows.flatMap((row) => row.unknown ?? []))];
  if (!names.length) return "";
  const some = names.slice(0, NAMED).map((name) => `“${shown(name)}”`).join(", ") + (names.length > NAMED ? " …" : "");
  return ` ${names.length === 1 ? "Unknown column" : "Unknown columns"} ${some}: not read. Known columns: ${COLUMNS.join(", ")}.`;
}

const rowWords = (numbers) => `${numbers.length === 1 ? "Row" : "Rows"} ${numbers.slice(0, NAMED).join(", ")}${numbers.length > NAMED ? " …" : ""}`;
