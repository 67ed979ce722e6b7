import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { load } from "./modules.mjs";

globalThis.document ??= { querySelector: () => ({ dataset: { root: "", static: "", csrf: "", user: "olga" } }), addEventListener() {} };

const { forecastOf, foresee } = await load("forecast.js");
const { options, site } = await load("options.js");
const { damagedWords, emptyWords, insideOf, packingOf, wasOpened } = await load("archive_words.js");
const { likenessOf } = await load("likeness.js");
const { rowsOf } = await load("rows.js");
const { sideLabel, sidesOf } = await load("sides.js");
const { Study } = await load("study.js");
const { wordsOf, wordsOfOutcome } = await load("study_words.js");
const { isOver, bytesOf, outcomeWords, readyWords } = await load("totals.js");
const { rowKey, warningsOf } = await load("warnings.js");
const { IMPORTS, isEnded, SESSIONS, sessionState, TRANSFERS, ACTS, HELD_FOR, STAGES } = await load("../states.js");
const { summaries, summaryOf } = await load("../live/spoken.js");

Object.assign(site, { codes: { P: 4, W: 0 }, more: false });
const choose = (more) => Object.assign(options, { where: "project", project: "P", destination: "", overwrite: "", ignore: true, keep: true, ...more });

/** A decision of a study, as `settle` makes it. */
const decision = ({ key = "1.2", label = "S1_V1", ...more } = {}) => ({
  project: "P",
  subject: "S1",
  label,
  held: [],
  warnings: [],
  leftOut: false,
  naming: { session: { requested: false }, subject: { requested: false }, patients: { commonId: "S1" }, row: null },
  study: new Study({ key, uid: key, series: [], ecat: [], sessionFolders: {}, folders: [] }),
  ...more,
});

/** An archive on the list that was looked into. */
const pick = (name, decisions, { counts = {}, ...more } = {}) => ({
  id: name, name, size: 1000, taken: decisions, decisions, problem: "", transfer: null,
  found: { counts: { images: 1, unparseable: 0, ...counts } }, ...more,
}); // prettier-ignore

const planned = (one) => Object.values(forecastOf(one, undefined)).slice(-2);

test("what will happen is one sentence, by the destination and the project's own setting", () => {
  choose();
  assert.deepEqual(planned(decision()), ["", "Will be archived in P as S1 / S1_V1"]);
  choose({ destination: "prearchive" });
  assert.deepEqual(planned(decision()), ["", "Will wait in the prearchive of P as S1 / S1_V1"]);
  choose();
  assert.deepEqual(planned(decision({ project: "W" })), ["", "Will wait in the prearchive of W as S1 / S1_V1"]);
  assert.deepEqual(planned(decision({ project: "X" })), ["", "Will go to X as S1 / S1_V1"]);
  assert.deepEqual(planned(decision({ held: ["patient_mismatch"] })), ["held", "Will be held for review in P as S1 / S1_V1"]);
  assert.match(planned(decision({ leftOut: true }))[1], /^Not included/);
});

const warned = (...picks) => {
  foresee(picks);
  return warningsOf(picks);
};

test("equal warnings are one, with their count; what stops an archive comes first, then what is held", () => {
  choose({ ignore: false });
  const suffixed = (n) => pick(`${n}.zip`, [decision({ key: `1.${n}`, label: `L${n}`, warnings: ["label_suffixed"] })]);
  const stopped = ["x.zip", "y.zip"].map((name) => pick(name, [], { problem: "It is encrypted: pack it again without a password." }));
  const odd = pick("odd.zip", [decision({ key: "2", held: ["patient_mismatch"] })], { counts: { unparseable: 2 } });
  const mixed = pick("mixed.zip", [decision({ key: "3", label: "M", held: ["patient_mismatch"] })]);
  const told = warned(suffixed(1), suffixed(2), mixed, odd, ...stopped);
  assert.deepEqual(told.map(({ kind, words, rows }) => [kind, words.slice(0, 45), rows.length]), [
    ["stop", "odd.zip will be refused: a file that should b", 1],
    ["stop", "2 archives will not be uploaded. It is encryp", 2],
    ["held", "1 session with images of several patient IDs ", 1],
    ["warn", "2 sessions shared a label: a date or code was", 2],
  ]);
  assert.deepEqual(told[3].rows, [rowKey({ id: "1.zip" }, "1.1"), rowKey({ id: "2.zip" }, "1.2")]);
  choose();
  assert.deepEqual(warned(odd).map(({ kind }) => kind), ["held"], "unparseable files are ignored");
  assert.deepEqual(warned({ ...suffixed(1), taken: [] }), []);
});

test("rows find the outcomes of their studies, and sessions without a study get rows of their own", () => {
  const session = (position, uid, label) => ({ position, study_uid: uid, then: { label } });
  const ecat = decision({ key: "ecat", label: "E1" });
  ecat.study.uid = null;
  const sessions = [session(0, "9", "X"), session(1, "1.2", "S1_V1"), session(2, null, "e1")];
  const rows = rowsOf({ decisions: [decision(), ecat, decision({ key: "1.3" })], transfer: { import: { sessions } } });
  assert.deepEqual(rows.map(({ key, one, outcome }) => [key, one?.label ?? null, outcome?.position ?? null]), [
    ["1.2", "S1_V1", 1],
    ["ecat", "E1", 2],
    ["1.3", "S1_V1", null],
    ["session 0", null, 0],
  ]);
});

test("a study that was separated has a row of its own for each session", () => {
  const sessions = [0, 1].map((position) => ({ position, study_uid: "1.2", then: { label: `L_${position}` }, study: null }));
  const both = decision({ halves: [decision(), decision()] });
  const keys = (some) => rowsOf({ decisions: [both], transfer: { import: { sessions: some } } }).map(({ key }) => key);
  assert.deepEqual(keys(sessions), ["session 0", "session 1"]);
  assert.deepEqual(keys(sessions.slice(1)), ["1.2"]);
  assert.deepEqual(keys([]), ["1.2"]);
  choose();
  both.forecast = { parts: [{}, {}] };
  assert.equal(readyWords([pick("a.zip", [both])]), "1 archive · 2 sessions · 1.0 kB → P");
});

test("sides of a study and their labels are those of the server", () => {
  const series = (modality, about = "") => ({ objects: 1, values: { Modality: new Map([[modality, 1]]), SeriesDescription: new Map([[about, 1]]) } });
  const sides = (scans, words) => sidesOf(new Study({ key: "1", uid: "1", series: scans, ecat: [], sessionFolders: {}, folders: [] }), words).join();
  const [pet, mr, map, otherMap] = [series("PT"), series("MR", "T1"), series("MR", "Head_MRAC"), series("MR", "dixon_ac")];
  assert.deepEqual([[pet, mr], [pet, map], [mr, map], [map], [series("CT")]].map((scans) => sides(scans)), ["MR,PET", "PET", "MR", "PET", ""]);
  assert.deepEqual([sides([pet, otherMap]), sides([pet, otherMap], "ac")], ["MR,PET", "PET"]);
  assert.deepEqual(["S1_PETMR", "petmr01", "PETMR_PETMR", "PetMr1", "aPETMRpetmr", "x".repeat(64)].map((label) => sideLabel(label, "PET")), [
    "S1_PET", "pet01", "PET_PET", "PetMr1_PET", "aPETpetmr", "x".repeat(60) + "_PET",
  ]); // prettier-ignore
});

test("after a reload rows come in the order that they had, with their patients, and without where these may not be seen", () => {
  const session = (position, study, then = { label: "L", subject: "S" }) => ({ position, study_uid: `1.${position}`, then, study });
  const study = { patient_name: "Doe^Jane", patient_id: "P2", birth_date: null, description: "Head", date: "2024-02-29", modalities: ["CT", "PT"], scans: 2, images: 300, files: 3 };
  const hidden = { ...study, patient_name: null, patient_id: null, description: null, date: null };
  const sessions = [session(0, { ...study, patient_id: "P10" }), session(1, study), session(2, { ...study, date: "2023-01-01" }), session(3, hidden), session(4, null)];
  const transfer = { import: { sessions } };
  const positions = () => rowsOf({ decisions: [], transfer }).map(({ outcome }) => outcome.position);
  assert.deepEqual(positions(), [3, 4, 2, 1, 0]);
  transfer.import = { sessions: sessions.map((one) => ({ ...one, study: null })) };
  assert.deepEqual(positions(), [3, 4, 2, 1, 0], "what is out of sight since stays in its place");
  assert.deepEqual(wordsOfOutcome(sessions[1]), {
    study: "Head", modalities: "CT, PT", icon: "CT", date: "2024-02-29", patient: "Doe Jane", ids: "P2", scans: "2", images: "300 in 3 files",
  }); // prettier-ignore
  assert.deepEqual([wordsOfOutcome(sessions[3]).patient, wordsOfOutcome(sessions[3]).scans], ["not shown", "2"]);
  const mixed = wordsOfOutcome({ ...session(5, { ...study, patient_name: null, patient_id: null }), code: "patient_mismatch" });
  const naming = { patients: { ids: ["A", "B"], commonId: "A" } };
  assert.deepEqual([mixed.patient, mixed.study], ["several patients", "Head"]);
  const facts = new Study({ key: "1.2", uid: "1.2", series: [], ecat: [], sessionFolders: {}, folders: [], ecatDate: "" });
  assert.equal(wordsOf({ study: facts, naming }).patient, mixed.patient, "as before the reload");
  const { patient, study: title, scans, images } = wordsOfOutcome(sessions[4]);
  assert.deepEqual([patient, title, scans, images], ["not shown", "Study 1.4", "", ""]);
});

test("totals tell what goes, and at the end what came of it, by state and project", () => {
  choose();
  assert.equal(readyWords([pick("a.zip", [decision()]), pick("b.zip", [decision()])]), "2 archives · 2 sessions · 2.0 kB → P");
  assert.equal(readyWords([]), "");
  const over = (state, ...nows) => ({
    state: "done",
    total: 10,
    import: { state, sessions: nows.map((now) => ({ now, project: "P", code: "", new: now === "archived" ? 3 : 0, then: {} })) },
  });
  const all = [over("placed", "archived", "archived"), over("held", "needs_decision", "prearchive"), over("refused"), { state: "cancelled", sent: 4, total: 10 }];
  assert.equal(
    outcomeWords(all),
    "2 sessions archived in P. 1 session in the prearchive of P. 1 session held for review in P. 1 archive refused. 1 archive cancelled.",
  );
  assert.deepEqual(bytesOf([...all, { state: "running", sent: 4, total: 10 }]), { done: 34, total: 40 });
  assert.deepEqual([...all, { state: "done" }, { state: "done", import: { state: "running" } }, { state: "stopped" }].map(isOver), [true, true, true, true, false, false, false]);
});

test("the last line says where sessions went that were moved or deleted since", () => {
  const over = (...nows) => ({ state: "done", import: { state: "placed", sessions: nows.map((now) => ({ now, project: null, code: "", new: 3, then: { project: "P" } })) } });
  assert.equal(outcomeWords([over("archived", "deleted", "out_of_sight")]), "1 session archived in P. 1 session deleted from P. 1 session moved from P to another project.");
  const away = over("out_of_sight", "archived");
  away.import.sessions[0].then.project = "LOST"; // in which one may do nothing any more
  assert.equal(outcomeWords([away]), "1 session archived in P. 1 session not visible to you in LOST.");
});

test("the last line says how much was not uploaded", () => {
  const over = { state: "done", import: { state: "placed", sessions: [{ now: "archived", project: "P", code: "", new: 3, then: {} }] } };
  assert.equal(outcomeWords([over], { notSent: 4 }), "1 session archived in P. 4 archives were not uploaded.");
  assert.equal(outcomeWords([over], { notSent: 1, notTaken: 1 }), "1 session archived in P. 1 archive was not uploaded. 1 file was not taken.");
  assert.equal(outcomeWords([over], {}), "1 session archived in P.");
});

test("a session whose files were all stored before is told so, and one that was left out is no refusal", () => {
  assert.equal(sessionState({ now: "archived", code: "", new: 0 }), "stored");
  assert.equal(sessionState({ now: "archived", code: "", new: null }), "archived");
  for (const code of ["left_out", "all_filtered"]) assert.equal(sessionState({ now: "refused", code, new: 0 }), "left_out");
  assert.equal(sessionState({ now: "deleted", code: "", new: 0 }), "deleted");
  for (const { acts } of [...Object.values(TRANSFERS), ...Object.values(IMPORTS)]) for (const act of acts) assert.ok(act in ACTS, act);
  assert.deepEqual(["archived", "stored", "prearchive", "needs_decision"].map((key) => SESSIONS[key].link), ["Open", "Open", "Review", "Decide"]);
  assert.deepEqual(Object.keys(IMPORTS).filter((state) => !isEnded(state)), ["receiving", "received", "running"]);
});

test("each stage of an import, and each reason to hold a session, has words of its own", () => {
  const source = (path) => readFileSync(new URL(`../../src/scandock/${path}`, import.meta.url), "utf8");
  const [, table] = /^CHOICES.*?\{(.*?)^\}/ms.exec(source("rules/choices.py"));
  assert.deepEqual(Object.keys(HELD_FOR).sort(), [...table.matchAll(/^ +"(\w+)":/gm)].map(([, code]) => code).sort());
  const [, stages] = /^STAGES.* = \((.*)\)/m.exec(source("model/import_types.py"));
  assert.deepEqual(Object.keys(STAGES), [...stages.matchAll(/"(\w+)"/g)].map(([, stage]) => stage));
  for (const words of [...Object.values(HELD_FOR), ...Object.values(STAGES)]) assert.doesNotMatch(words, /conflict|syncing|deciding|unparseable|UID|\(\d{4},/);
});

test("one summary a minute is said aloud, and at once what ends it", () => {
  let [clock, timer] = [1_000_000, null];
  const told = [];
  const summarize = summaries((words) => told.push(words), (run, wait) => (timer = { run, at: clock + wait }), () => clock);
  const on = (milliseconds) => {
    clock += milliseconds;
    if (timer && timer.at <= clock) [timer.run, timer] = [timer.run(), null];
  };
  summarize(() => "first");
  for (const words of ["second", "third"]) {
    on(1_000);
    summarize(() => words);
  }
  assert.deepEqual(told, ["first"]);
  on(58_000);
  assert.deepEqual(told, ["first", "third"], "the newest, once a minute has passed");
  on(1_000);
  summarize(() => "over", true);
  assert.deepEqual(told, ["first", "third", "over"]);
  summarize(() => "");
  on(61_000);
  assert.equal(told.length, 3, "there was nothing to say");
});

test("a summary counts uploads and tells what has ended", () => {
  const states = (...list) => list.map((state) => ({ state }));
  assert.equal(summaryOf(states("done", "running", "held up", "cancelled"), []), "1 of 3 archives uploaded, 1 retrying.");
  assert.equal(summaryOf(states("done"), [{ archive: "a.zip", state: "placed" }]), "a.zip is imported.");
  const ended = [{ archive: "a", state: "placed" }, { archive: "b", state: "placed" }, { archive: "c", state: "refused" }];
  assert.equal(summaryOf([], ended), "2 archives imported. 1 archive refused.");
  assert.equal(summaryOf([], []), "");
});

test("of an archive that was not opened no numbers are told, and unreadable images are images", () => {
  const inside = (found, decisions = []) => insideOf({ decisions, found: { read: 1, problems: [], counts: { images: 0, unparseable: 0 }, ...found }, transfer: null });
  assert.equal(inside({ read: 3 }), "3 files, no image");
  assert.equal(inside({ read: 30, counts: { images: 0, unparseable: 30 } }), "30 files, no image that can be read");
  for (const problem of ["bzip2", "xz", "zstd", "encrypted"]) {
    assert.equal(inside({ problems: [problem] }), "", problem);
    assert.equal(wasOpened({ decisions: [], found: { problems: [problem] } }), false);
  }
  assert.equal(packingOf({ problems: ["damaged", "xz"] }), "xz");
  assert.equal(wasOpened({ decisions: [decision()], found: { problems: ["xz"] } }), true, "an archive within it is packed so");
  const counted = (more) => emptyWords({ images: 0, unsure: 0, unparseable: 0, ...more });
  assert.deepEqual([counted(), counted({ unparseable: 30 })], ["There is no image in it.", "None of its images can be read."]);
  for (const more of [{ images: 1 }, { unsure: 1, unparseable: 2 }]) assert.equal(counted(more), "");
  assert.equal(damagedWords(["s/1.dcm"]), "The server would refuse it: s/1.dcm in it is damaged. Make the archive again.");
  assert.equal(damagedWords(["a", "b", "c"]), "The server would refuse it: a and 2 other files in it are damaged. Make the archive again.");
});

test("the same file or folder is told from others by names, sizes and times", () => {
  const file = (size = 1, lastModified = 2) => ({ size, lastModified });
  const folder = (...sizes) => ({ name: "visit", files: sizes.map((size, at) => ({ path: `visit/${at}`, file: file(size) })) });
  const known = likenessOf({ name: "a.zip", file: file() });
  assert.equal(likenessOf({ name: "a.zip", file: file() }), known);
  for (const other of [{ name: "b.zip", file: file() }, { name: "a.zip", file: file(2) }, { name: "a.zip", file: file(1, 3) }]) assert.notEqual(likenessOf(other), known);
  assert.equal(likenessOf(folder(1, 2)), likenessOf({ ...folder(1, 2), files: folder(1, 2).files.reverse() }));
  assert.notEqual(likenessOf(folder(1, 2)), likenessOf(folder(1, 3)));
});
