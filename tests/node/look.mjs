// Looks into archives as the page does before an upload, and prints one JSON object a line for each.
import { openAsBlob, readdirSync, statSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { load } from "./modules.mjs";

const { preview } = await load("preview.js");
const { settle } = await load("settle.js");
const { Study } = await load("study.js");
globalThis.document ??= { querySelector: () => ({ dataset: { root: "", static: "", csrf: "", user: "olga" } }), addEventListener() {} };
const { wordsOf, wordsOfOutcome } = await load("study_words.js");
const { parseMapping } = await load("mapping_csv.js");

const { askKnown, keptSubject, knownSubject } = await load("known.js");
const { site: told } = await load("options.js");

const asked = JSON.parse(process.argv[2]);
const { fetch } = globalThis;
if (asked.server) {
  // what is there is asked of a server, as who is named
  told.codes = Object.fromEntries(asked.projects.map((name) => [name, 4]));
  const { base, authorization } = asked.server;
  globalThis.fetch = (path, { headers, ...more }) => fetch(base + path, { ...more, headers: { ...Object.fromEntries(headers), authorization } });
}

for (const path of asked.paths) {
  let found;
  const began = performance.now();
  const times = { first: null, reports: 0 };
  const tell = (now) => {
    found = now;
    times.first ??= performance.now() - began;
    times.reports += 1;
  };
  await preview(await source(path), tell, { zone: asked.zone ?? "UTC", budget: asked.budget }).ended;
  times.end = performance.now() - began;
  const request = { ...asked.request, mapping: asked.mapping ? parseMapping(asked.mapping) : [] };
  const site = { isUsable: (project) => (asked.projects ?? []).includes(project), kept: keptSubject, subject: knownSubject };
  const { studies: facts, ...rest } = found;
  const studies = facts.map((one) => new Study(one));
  let decided = settle(studies, request, site);
  if (asked.server && (await askKnown(decided))) decided = settle(studies, request, site);
  const shown = decided.map((one) => ({
    study_uid: one.study.uid,
    project: one.project,
    subject: one.subject,
    label: one.label,
    held: one.held,
    left_out: one.leftOut,
    warnings: one.warnings.sort(),
    scans: one.study.series.length + one.study.ecat.length,
    images: one.study.objects,
    source: one.naming.session.source,
    words: wordsOf(one),
  }));
  const outcomes = (asked.outcomes?.[basename(path)] ?? []).map((one) => [one.study_uid, wordsOfOutcome(one)]);
  process.stdout.write(JSON.stringify({ archive: basename(path), ...rest, times, outcomes, studies: shown }) + "\n");
}

async function source(path) {
  if (!statSync(path).isDirectory()) return { file: Object.assign(await openAsBlob(path), { name: basename(path) }) };
  const names = readdirSync(path, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
  const files = names.map((one) => join(one.parentPath ?? one.path, one.name));
  return { files: await Promise.all(files.map(async (file) => ({ path: relative(path, file), file: await openAsBlob(file) }))) };
}
