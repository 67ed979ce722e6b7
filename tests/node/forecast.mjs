// Forecasts archives that are chosen together, as the page does: {paths, edits (by archive: what is written at its studies), project,
// code, destination, overwrite, petmr, known (what the server has of the first archive's study, or nothing)}; prints {rows: [{archive, label, subject, verdict, words}], mappings (CSV, by archive), follows}.
import { openAsBlob } from "node:fs";
import { basename } from "node:path";

globalThis.document = { querySelector: () => ({ dataset: { root: "", static: "", csrf: "", user: "" } }), addEventListener() {} };

const { load } = await import("./modules.mjs");
const { forecastOf, foresee } = await load("forecast.js");
const { writeMapping } = await load("mapping_csv.js");
const { options, site } = await load("options.js");
const { keyOf } = await load("picks.js");
const { preview } = await load("preview.js");
const { settle } = await load("settle.js");
const { Study } = await load("study.js");

const asked = JSON.parse(process.argv[2]);

for (const { paths, edits, project, code, destination, overwrite, petmr, known } of asked) {
  Object.assign(options, { where: "project", project, destination, overwrite, ignore: true, keep: true });
  Object.assign(site, { codes: { [project]: code }, more: false });
  const picks = [];
  for (const [at, path] of paths.entries()) {
    let found;
    await preview({ file: Object.assign(await openAsBlob(path), { name: basename(path) }) }, (now) => (found = now)).ended;
    const studies = found.studies.map((facts) => new Study(facts));
    const edit = edits[at];
    const edited = Object.keys(edit).length ? studies : [];
    const rows = edited.map((study, n) => ({ number: n + 2, leaveOut: false, ...keyOf(study, studies), ...edit }));
    const decisions = settle(studies, { project, mapping: rows }, { isUsable: () => false, petmr: () => petmr });
    picks.push({ id: String(at), name: basename(path), problem: "", transfer: null, found, decisions, taken: decisions, mapping: rows.length ? writeMapping(rows) : "" });
  }
  foresee(picks);
  if (known) for (const one of picks[0].taken) one.forecast = forecastOf(one, known);
  const rows = picks.flatMap(({ id, decisions }) =>
    decisions.flatMap(({ study, subject, label: own, forecast }) =>
      (forecast.parts ?? [forecast]).map(({ label = own, verdict, words, notes }) => ({ archive: Number(id), uid: study.uid, label, subject, verdict, words, codes: notes.map((note) => note.code) })),
    ),
  );
  const follows = picks.map((pick) => [...pick.follows].map(({ id }) => Number(id)));
  process.stdout.write(JSON.stringify({ rows, follows, mappings: picks.map(({ mapping }) => mapping) }) + "\n");
}
