import assert from "node:assert/strict";
import test from "node:test";
import { load } from "./modules.mjs";

const { does, fields, into, isBeginning, options, problem, project, site, summary } = await load("options.js");

const PLAIN = { where: "project", project: "P", destination: "", overwrite: "", ignore: true, keep: true };

test("what the form says goes along by the API's names", () => {
  Object.assign(options, PLAIN);
  assert.deepEqual(fields(), { project: "P", destination: "", overwrite: "", ignore_unparsable: "true", resources: "keep" });
  Object.assign(options, { destination: "prearchive", overwrite: "none", ignore: false, keep: false });
  assert.deepEqual(fields(), { project: "P", destination: "prearchive", overwrite: "none", ignore_unparsable: "false", resources: "ignore" });
  assert.equal(summary(), "to the prearchive, keep what is archived, unreadable files refuse an archive, no other files");
  site.codes = { P: 4 };
  assert.equal(into(), "Into P");
  site.codes = {};
  options.where = "headers";
  assert.equal(project(), "");
  assert.equal(into(), "Without a project", "there is no project to name");
});

test("a project's own default is named, and a project that one may not upload to is told", () => {
  Object.assign(options, PLAIN);
  Object.assign(site, { codes: { P: 0, Q: 4 }, more: false });
  assert.match(does(), /wait in the prearchive/);
  options.project = "Q";
  assert.match(does(), /sessions are archived$/);
  assert.equal(problem(), "");
  options.project = "Z";
  assert.match(problem(), /No project “Z”, or you can't upload to it/);
  assert.equal(into(), "No project “Z”");
  assert.deepEqual(["q", "Z"].map(isBeginning), [true, false]);
  options.project = "";
  assert.match(problem(), /Name a project first/);
  options.where = "headers";
  assert.equal(problem(), "");
});

test("where there are more projects than the page offers, the server decides of a name", () => {
  Object.assign(options, { ...PLAIN, project: "Z" });
  Object.assign(site, { codes: { P: 0 }, more: true });
  assert.equal(problem(), "");
  options.project = "no project id";
  assert.notEqual(problem(), "");
});
