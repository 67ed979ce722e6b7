// Names for many studies at once: by a pattern, by finding and replacing, or by a table.

import { number, plural, size } from "../live/figures.js";
import { clashes, clashWords } from "./clashes.js";
import { button, make, set, show } from "./dom.js";
import { clean } from "./labels.js";
import { decodeMapping, MappingError, parseMapping } from "./mapping_csv.js";
import { shown } from "./names.js";
import { FIELDS, filled, patternProblem } from "./patterns.js";
import { picks, tabulateAll, takeBack } from "./picks.js";

const LARGEST = 1_000_000; // bytes of a table
const LATER = "Archives are still looked into: do it once more when they are, for what is found later.";

/** Give `column` of every study in `chosen` ({pick, one}) what `textOf` makes; gives how many changed, and how many
 * texts leave no label. */
function rename(chosen, column, textOf) {
  const told = { changed: 0, empty: 0 };
  chosen.forEach(({ pick, one }, at) => {
    const text = textOf(one, pick, at + 1);
    const label = clean(text);
    if (!label) told.empty += 1;
    else if (label !== (column === "session" ? one.label : one.subject)) {
      pick.edit(one.study, { [column]: label });
      told.changed += 1;
    }
  });
  for (const pick of new Set(chosen.map(({ pick }) => pick))) pick.settle();
  return told;
}

const isLooking = () => picks.some((pick) => pick.state !== "done");

const every = () => picks.flatMap((pick) => pick.taken.map((one) => ({ pick, one })));

/** The fold-out above the tables; `say` is told in words what was done. */
export function labelsTools(say) {
  const column = make("select", { id: "up-column" }, make("option", { value: "session" }, "Session"), make("option", { value: "subject" }, "Subject"));
  const pattern = make("input", { id: "up-pattern", value: "{PatientID}_{StudyDate}", autocomplete: "off", spellcheck: "false", "aria-describedby": "up-values" });
  const find = make("input", { id: "up-find", autocomplete: "off", spellcheck: "false" });
  const instead = make("input", { id: "up-instead", autocomplete: "off", spellcheck: "false" });
  const said = make("p", { class: "help" });
  const tell = (words) => {
    set(said, words);
    say(words);
  };
  const done = ({ changed, empty }) => {
    const stay = empty ? `For ${empty} it gives no letter or digit: they stay.` : "";
    tell([`${changed} of ${plural(every().length, "label")} changed.`, clashWords(clashes()), isLooking() ? LATER : "", stay].filter(Boolean).join(" "));
  };
  const byPattern = () => {
    const wrong = patternProblem(pattern.value);
    return wrong ? tell(wrong) : done(rename(every(), column.value, (one, pick, n) => filled(pattern.value, one, pick, n)));
  };
  const byFinding = () => {
    if (!find.value) return tell("Say what is to be found.");
    const old = (one) => (column.value === "session" ? one.label : one.subject);
    return done(rename(every(), column.value, (one) => old(one).replaceAll(find.value, instead.value)));
  };
  const { table, file, apply, read } = tableFields(tell, () => {
    element.isUsed = true;
    show(element, true);
    element.open = true;
  });
  const undo = () => {
    takeBack();
    tell("All labels are again as the images and rules give them.");
  };
  const label = (of, words) => make("label", { for: of.id }, words);
  const element = make(
    "details",
    { class: "panel up-tools" },
    make("summary", {}, "Change many labels at once"),
    make("p", { class: "up-row" }, label(column, "Change"), column),
    make("p", { class: "up-row" }, label(pattern, "Pattern"), pattern, button("Apply the pattern", byPattern)),
    make("p", { class: "help", id: "up-values" }, `Takes ${FIELDS}, and {n} or {n:3}, which counts.`),
    make("p", { class: "up-row" }, label(find, "Find"), find, label(instead, "replace by"), instead, button("Replace", byFinding)),
    make("p", { class: "up-row" }, label(table, "Table"), button("Apply the table", apply), button("Read a file", () => file.click()), file),
    table,
    make(
      "p",
      { class: "help" },
      "Paste or drop a CSV with a header: study_uid, patient_id or folder choose the studies; project, subject and session say where they go; leave_out with “yes” leaves them out. The first row that fits wins.",
    ),
    make("p", { class: "up-row" }, button("Undo all changes", undo, { kind: "quiet" })),
    said,
  );
  return Object.assign(element, { isUsed: false, read });
}

/** The field for a table, and what takes its files; `opened` is called before one is read, so that it is seen. */
function tableFields(tell, opened) {
  const table = make("textarea", { id: "up-table", rows: "4", spellcheck: "false", placeholder: "patient_id,subject,session\nP0001,S01,S01_V1" });
  const apply = () => {
    try {
      tell(applyTable(table.value));
    } catch (error) {
      if (!(error instanceof MappingError)) throw error;
      tell(error.message);
    }
  };
  const read = async (chosen) => {
    opened();
    if (chosen.size > LARGEST) return tell(`${shown(chosen.name)} is too large for a table: at most ${size(LARGEST)} are taken.`);
    table.value = decodeMapping(new Uint8Array(await chosen.arrayBuffer()));
    return apply();
  };
  const file = make("input", { type: "file", accept: ".csv,.tsv,.txt,.json", class: "unseen", tabindex: "-1", "aria-hidden": "true" });
  file.addEventListener("change", async (event) => {
    event.stopPropagation(); // the form's own choices have not changed
    const [chosen] = file.files;
    if (chosen) await read(chosen);
    file.value = "";
  });
  table.addEventListener("drop", async (event) => {
    const [dropped] = event.dataTransfer.files;
    if (!dropped) return;
    event.preventDefault();
    event.stopPropagation();
    await read(dropped);
  });
  return { table, file, apply, read };
}

/** Change all studies as a table says; gives it in words. Throws MappingError. */
function applyTable(text) {
  const rows = parseMapping(text);
  const { used, studies } = tabulateAll(rows);
  const unused = rows.filter((row) => !used.has(row.number)).map((row) => row.number);
  if (isLooking() || !picks.length) return `${fitting(used.size, rows.length, studies)} so far; the table holds for those found later, too.`;
  const some = unused.slice(0, 10).join(", ") + (unused.length > 10 ? " ..." : "");
  const left = used.size && unused.length ? ` ${unused.length === 1 ? `Row ${some} of the table fits none.` : `Rows ${some} of the table fit none.`}` : "";
  return `${fitting(used.size, rows.length, studies)}.${left}`;
}

function fitting(used, rows, studies) {
  if (!used) return rows === 1 ? "The one row fits no study" : `None of ${number(rows)} rows fits a study`;
  return `${number(used)} of ${plural(rows, "row")} ${used === 1 ? "fits" : "fit"} ${plural(studies, "study", "studies")}`;
}
