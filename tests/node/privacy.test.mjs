import assert from "node:assert/strict";
import test from "node:test";
import { load } from "./modules.mjs";

globalThis.document ??= { querySelector: () => ({ dataset: { root: "", static: "", csrf: "", user: "olga" } }), addEventListener() {} };

const { foresee } = await load("forecast.js");
const { labelOf } = await load("label_changes.js");
const { options, site } = await load("options.js");
const { isByServer, removedWords } = await load("privacy.js");
const { rowsOf } = await load("rows.js");
const { Study } = await load("study.js");

const open = { names: "keep", study_uid: "keep", patient: "keep", words: "" };
const strict = { names: "drop", study_uid: "hash", patient: "drop", words: "Patient names and IDs are dropped." };
const uids = { names: "keep", study_uid: "hash", patient: "keep", words: "Study UIDs are hashed." };
const nameless = { ...open, names: "drop", words: "Names are dropped." };
const begin = (privacy) => Object.assign(site, { codes: { P: 4, STRICT: 4, UIDS: 4 }, privacy });
const choose = (more) => Object.assign(options, { where: "project", project: "P", destination: "", overwrite: "", ignore: true, keep: true, ...more });

/** A decision whose labels come from where `more` says. */
const decision = (project, { subject = {}, session = {} } = {}) => ({
  project,
  subject: "Doe",
  label: "P001",
  held: [],
  warnings: [],
  leftOut: false,
  naming: {
    subject: { label: "Doe", source: "PatientName", requested: false, ...subject },
    session: { label: "P001", source: "PatientID", requested: false, ...session },
    patients: { commonId: "P001" },
    row: null,
  },
  study: new Study({ key: "1.2", uid: "1.2", series: [], ecat: [], sessionFolders: {}, folders: [] }),
});
const byServer = (one) => ["subject", "session"].map((column) => isByServer(one, column));

test("what is removed is said of the project that is chosen", () => {
  begin(null);
  choose();
  assert.equal(removedWords(), "");
  begin({ site: open, unnamed: strict, projects: { STRICT: strict } });
  assert.equal(removedWords(), "");
  choose({ project: "STRICT" });
  assert.equal(removedWords(), strict.words);
  choose({ where: "headers" });
  assert.equal(removedWords(), strict.words);
});

test("labels that would say whose images they are are set by the server, unless somebody asks for one", () => {
  begin({ site: open, unnamed: strict, projects: { STRICT: strict, UIDS: uids, NAMELESS: nameless } });
  choose({ project: "STRICT" });
  assert.deepEqual(byServer(decision("NAMELESS", { session: { label: "visit1", source: "folder" } })), [false, true]);
  assert.deepEqual(byServer(decision("NAMELESS")), [false, false]);
  assert.deepEqual(byServer(decision("P")), [false, false]);
  assert.deepEqual(byServer(decision("STRICT")), [true, true]);
  assert.deepEqual(byServer(decision("STRICT", { session: { requested: true } })), [true, false]);
  assert.deepEqual(byServer(decision("UIDS")), [false, false]);
  const hashed = { session: { label: "study_1", source: "hash" }, subject: { label: "", source: "session" } };
  assert.deepEqual(byServer(decision("UIDS", hashed)), [true, true]);
  assert.deepEqual(byServer(decision("UIDS", { session: { label: "x_1_2_840_10008_5_1", source: "folder" } })), [false, true]);
  assert.equal(isByServer(decision("STRICT"), "project"), false);
  assert.equal(isByServer(null, "subject"), false);
  assert.equal(labelOf(decision("STRICT"), "subject"), "");
  assert.equal(labelOf(decision("P"), "subject"), "Doe");
});

test("what will happen names no label that the server sets", () => {
  begin({ site: open, unnamed: strict, projects: { STRICT: strict } });
  choose({ project: "STRICT" });
  const words = (one) => {
    foresee([{ id: "a", name: "a", size: 1, taken: [one], decisions: [one], problem: "", transfer: null, found: { counts: { images: 1, unparseable: 0 } } }]);
    return one.forecast.words;
  };
  assert.equal(words(decision("STRICT")), "Will be archived in STRICT, with labels set by the server");
  assert.equal(words(decision("STRICT", { session: { requested: true } })), "Will be archived in STRICT as a subject set by the server / P001");
});

test("the one session of a study whose UID is hidden has no row of its own", () => {
  begin({ site: uids, unnamed: strict, projects: { P: open } });
  const sessions = [{ position: 0, study_uid: "2.25.1", then: { label: "study_1" } }];
  const rows = (project, some = sessions) => rowsOf({ decisions: [decision(project)], transfer: { import: { sessions: some } } });
  assert.deepEqual(rows("STRICT").map(({ key, outcome }) => [key, outcome]), [["1.2", sessions[0]]]);
  assert.equal(rows("P").length, 2);
  assert.equal(rows("STRICT", [...sessions, { ...sessions[0], position: 1, study_uid: "2.25.2" }]).length, 3);
});
