import assert from "node:assert/strict";
import test from "node:test";
import { load } from "./modules.mjs";

const { person, shown } = await load("names.js");
const { leaving } = await load("leaving.js");
const { site } = await load("options.js");

test("what does not print is escaped as the server's pages do, and Hebrew or Arabic stands isolated", () => {
  assert.equal(shown("Doe\u202eenaJ"), "Doe\\u202eenaJ");
  assert.equal(shown("a\u0000b\u00a0c\ud800"), "a\\x00b\\xa0c\\ud800");
  assert.equal(shown("\u{e0041}"), "\\U000e0041");
  assert.equal(shown("Ä b.zip"), "Ä b.zip");
  assert.equal(shown("כהן"), "\u2068כהן\u2069");
  assert.equal(person("Doe^Jane^^Dr="), "Doe Jane Dr");
});

const series = (names, births = [], removed = null) => ({
  objects: names.length,
  values: {
    PatientName: new Map(names.map((name) => [name, 1])),
    PatientBirthDate: new Map(births.map((date) => [date, 1])),
    ...(removed === null ? {} : { PatientIdentityRemoved: new Map([[removed, names.length]]) }),
  },
});
const said = (...all) => leaving([{ study: { series: all } }]);

test("placeholders are no names that leave the machine, nor what stands where the identity was removed", () => {
  site.placeholders = ["anonymized"];
  const none = "The headers that were read name no patient and no birth date.";
  for (const name of ["", "^^", "Anonymized^^", "***"]) assert.equal(said(series([name])), none, name);
  const removed = " The images say that the identity was removed; the name is replaced by (REMOVED).";
  assert.equal(said(series(["(REMOVED)"], [], "YES")), none + removed);
  assert.equal(said(series(["Anonymized"], [], "YES")), none);
  assert.match(said(series(["Doe^Jane"], [], "NO")), /^1 patient name \(Doe Jane\) will leave/);
  assert.match(said(series(["(REMOVED)"], ["19600102"], "YES"), series(["Roe\u202e"])), /^1 patient name \(Roe\\u202e\) and 1 birth date will .* replaced by \(REMOVED\)\.$/);
});
