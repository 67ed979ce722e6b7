// Names for many studies at once: by a pattern, by finding and replacing, or by a table.

import { number, plural, size } from "../live/figures.js";
import { button, make, set, show } from "./dom.js";
import { labelOf, planLabels } from "./label_changes.js";
import { decodeMapping, MappingError, parseMapping } from "./mapping_csv.js";
import { shown } from "./names.js";
import { problemOf, projectNamed } from "./options.js";
import { FIELDS, filled, patternProblem } from "./patterns.js";
import { foreseeAll, keyOf, picks, relabel, tabulateAll, undos } from "./picks.js";
import { tableWords } from "./table_words.js";
import { heldWords } from "./warnings.js";

const LARGEST = 1_000_000; // bytes of a table
const EXAMPLES = 3; // studies whose labels are shown before they change
const PAUSE = 200; // milliseconds without a key, then a table is read that is being written
const LATER = "Archives are still being read: repeat it once they are, for studies found later.";

const isLooking = () => picks.some((pick) => pick.state !== "done");

/** What can be named: each study that is included. */
function every() {
  const of = (pick) => pick.taken.filter((one) => keyOf(one.study, pick.studies) !== null);
  return picks.flatMap((pick) => of(pick).map((one) => ({ pick, one })));
}

/** The fold-out above the list, with `refresh()`, and `read(file)` for a table; `say` is told in words what was done. */
export function labelsTools(say) {
  const column = make("select", { id: "up-column" }, make("option", { value: "session" }, "Session"), make("option", { value: "subject" }, "Subject"), make("option", { value: "project" }, "Project"));
  const pattern = make("input", { id: "up-pattern", value: "{PatientID}_{StudyDate}", autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  const find = make("input", { id: "up-find", autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  const instead = make("input", { id: "up-instead", autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  const values = make("p", { class: "help", id: "up-values" }, `Fields: ${FIELDS}, and {n} or {n:3}, which counts.`);
  const byPattern = action({
    line: lineBeside(pattern, "up-pattern-result", values.id),
    column: () => column.value,
    problem: () => patternProblem(pattern.value),
    plan: (rows) => planLabels(rows, column.value, (one, pick, n) => filled(pattern.value, one, pick, n)),
    words: (plan) => `${examples(plan.labels)} ${willChange(plan, column.value)}`,
    say,
  });
  const byFinding = action({
    line: lineBeside(find, "up-find-result"),
    column: () => column.value,
    problem: (isLive) => (find.value || isLive ? "" : "Enter the text to find."),
    plan: (rows) => planLabels(rows, column.value, (one) => (find.value ? labelOf(one, column.value).replaceAll(find.value, instead.value) : labelOf(one, column.value))),
    words: (plan, rows) => {
      if (!find.value) return "";
      if (!rows.some(({ one }) => labelOf(one, column.value).includes(find.value))) return `“${shown(find.value)}” is in no label.`;
      return `${examples(plan.changes.map(({ one, label }) => `${labelOf(one, column.value)} → ${label}`))} ${willChange(plan, column.value)}`.trim();
    },
    say,
  });
  const { table, file, apply, line, read, refresh: refreshTable } = tableFields(say, () => {
    element.isUsed = true;
    show(element, true);
    element.open = true;
  });
  const live = [byPattern, byFinding, { refresh: refreshTable }];
  const label = (of, words) => make("label", { for: of.id }, words);
  const element = make(
    "details",
    { class: "panel up-tools" },
    make("summary", {}, "Change many labels at once"),
    make("p", { class: "up-row" }, label(column, "Change"), column),
    make("p", { class: "up-row" }, label(pattern, "Pattern"), pattern, button("Apply the pattern", byPattern.apply)),
    byPattern.line,
    values,
    make("p", { class: "up-row" }, label(find, "Find"), find, label(instead, "replace by"), instead, button("Replace", byFinding.apply)),
    byFinding.line,
    make("p", { class: "up-row" }, label(table, "Table"), button("Apply the table", apply), button("Read a file", () => file.click()), file),
    line,
    table,
    make(
      "p",
      { class: "help", id: "up-columns" },
      "Paste or drop a CSV with a header: study_uid, patient_id or folder choose the studies; project, subject and session say where they go; leave_out with “yes” leaves them out. The first row that fits wins.",
    ),
  );
  const refresh = () => element.open && live.forEach((one) => one.refresh());
  element.addEventListener("toggle", refresh);
  column.addEventListener("change", refresh);
  listen([pattern], byPattern);
  listen([find, instead], byFinding);
  return Object.assign(element, { isUsed: false, read, refresh });
}

/** The line beside a field that says what comes of it, or what is wrong; `more` is the id of what else describes it. */
function lineBeside(field, id, more = "") {
  const line = make("p", { class: "help up-result", id, hidden: true });
  field.setAttribute("aria-describedby", [id, more].filter(Boolean).join(" "));
  line.tell = (words, { isWrong = false } = {}) => {
    set(line, words);
    show(line, words !== "");
    line.className = isWrong ? "problem up-result" : "help up-result";
    if (isWrong) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
    if (isWrong) line.focusField = () => field.focus();
  };
  return line;
}

/** What a field does to all labels: its result is shown while it is written, and `apply()` makes it one step. */
function action({ line, column, problem, plan, words, say }) {
  let said = ""; // what was done, until the field is changed or something is undone
  let then = 0;
  const refresh = () => {
    if (said && then === undos) return;
    said = "";
    const wrong = problem(true);
    const rows = every();
    line.tell(wrong || (rows.length ? words(plan(rows), rows) : ""), { isWrong: Boolean(wrong) });
  };
  const changed = () => {
    said = "";
    refresh();
  };
  const apply = () => {
    const wrong = problem(false);
    if (wrong) {
      said = "";
      line.tell(wrong, { isWrong: true });
      line.focusField();
      return say(wrong);
    }
    const { changes, labels, empty } = plan(every());
    [said, then] = [" ", undos];
    relabel(changes);
    foreseeAll();
    const stay = empty ? `${plural(empty, "label")} ${wouldHave(column())}: not changed.` : "";
    said = [`${number(changes.length)} of ${plural(labels.length, "label")} changed.`, heldWords(picks), isLooking() ? LATER : "", stay].filter(Boolean).join(" ");
    line.tell(said);
    return say(said);
  };
  return { line, refresh, changed, apply };
}

/** Let the fields of an action show its result while they are written, and Enter apply it. */
function listen(fields, { changed, apply }) {
  for (const field of fields) {
    field.addEventListener("input", changed);
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing) return;
      event.preventDefault();
      event.stopPropagation(); // it begins no upload
      apply();
    });
  }
}

const examples = (labels) => [...labels.slice(0, EXAMPLES), ...(labels.length > EXAMPLES ? ["…"] : [])].join(", ");

const wouldHave = (column) => (column === "project" ? "would name no project that you can upload to" : "would have no letter or digit");

function willChange({ changes, labels, empty }, column) {
  const stay = empty ? `, ${number(empty)} ${wouldHave(column)}` : "";
  return `(${number(changes.length)} of ${plural(labels.length, "label")} will change${stay})`;
}

/** The field for a table, the line beside it, and what takes its files; `opened` is called before one is read, so that
 * it is seen. */
function tableFields(say, opened) {
  const table = make("textarea", { id: "up-table", rows: "4", spellcheck: "false", placeholder: "patient_id,subject,session\nP0001,S01,S01_V1" });
  const line = lineBeside(table, "up-table-result", "up-columns");
  let [isSaid, then, timer] = [false, undos, null]; // whether what was done or is wrong stands there, until the field is changed or that undone
  let parsed = { text: "", rows: [] }; // the last table that was written without a mistake
  const tell = (words, how) => {
    clearTimeout(timer);
    [isSaid, then] = [true, undos];
    line.tell(words, how);
    say(words);
  };
  /** Do it; what a table has wrong in it is said beside the field. */
  const trying = (act, told = tell) => {
    try {
      told(act());
    } catch (error) {
      if (!(error instanceof MappingError)) throw error;
      told(error.message, { isWrong: true });
    }
  };
  /** What would come of the table as it is written. */
  const planned = () => {
    const { value: text } = table;
    if (!text.trim()) return "";
    if (parsed.text !== text) parsed = { text, rows: rowsOf(text) };
    return `${wordsOf(parsed.rows)} Not applied yet.`;
  };
  const refresh = () => {
    if (isSaid && then === undos) return;
    isSaid = false;
    trying(planned, line.tell);
  };
  const apply = () => trying(() => applyTable(table.value));
  const readFile = async (chosen) => {
    opened();
    if (chosen.size > LARGEST) return tell(`${shown(chosen.name)} is too large for a table: at most ${size(LARGEST)} are read.`, { isWrong: true });
    const bytes = new Uint8Array(await chosen.arrayBuffer());
    return trying(() => {
      const { text, encoding } = decodeMapping(bytes);
      table.value = text;
      const guessed = encoding === "Windows-1252" ? ` ${shown(chosen.name)} is not UTF-8: it was read as Windows-1252.` : "";
      return applyTable(text) + guessed;
    });
  };
  const file = make("input", { type: "file", accept: ".csv,.tsv,.txt,.json", class: "unseen", tabindex: "-1", "aria-hidden": "true" });
  file.addEventListener("change", async (event) => {
    event.stopPropagation(); // the form's own choices have not changed
    const [chosen] = file.files;
    if (chosen) await readFile(chosen);
    file.value = "";
  });
  table.addEventListener("input", () => {
    isSaid = false;
    clearTimeout(timer);
    timer = setTimeout(refresh, PAUSE);
  });
  table.addEventListener("drop", async (event) => {
    const [dropped] = event.dataTransfer.files;
    if (!dropped) return;
    event.preventDefault();
    event.stopPropagation();
    await readFile(dropped);
  });
  return { table, file, apply, line, read: readFile, refresh };
}

/** Change all studies as a table says; gives it in words. Throws MappingError. */
function applyTable(text) {
  const rows = rowsOf(text);
  tabulateAll(rows);
  return wordsOf(rows);
}

/** The rows of a table. MappingError where something is wrong in it. */
const rowsOf = (text) => parseMapping(text, { isWhole: true }).map(withProject);

/** What rows come to for all that is on the list. */
const wordsOf = (rows) => tableWords(rows, picks.flatMap((pick) => pick.studies), { isLater: isLooking() || !picks.length });

/** A row with its project as it is written. MappingError where one may not upload to it. */
function withProject(row) {
  if (!row.project) return row;
  const project = projectNamed(row.project);
  if (!project) throw new MappingError(`Row ${row.number} of the table, column project: ${problemOf(row.project)}`);
  return { ...row, project };
}
