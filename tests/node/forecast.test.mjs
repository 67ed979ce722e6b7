import assert from "node:assert/strict";
import test from "node:test";
import { load } from "./modules.mjs";

globalThis.document ??= { querySelector: () => ({ dataset: { root: "", static: "", csrf: "", user: "olga" } }), addEventListener() {} };

const { forecastOf, foresee } = await load("forecast.js");
const { options, site } = await load("options.js");
const { subjectAmong } = await load("settle.js");
const { Study } = await load("study.js");
const { heldWords, warningsOf } = await load("warnings.js");

const one = ({ requested = false, subject = "", comments = [], held = [] } = {}) => ({
  project: "P",
  label: "NEW",
  subject: subject || "S1",
  held,
  warnings: [],
  study: { uid: "1.2", ecat: [], counts: () => new Map(comments.map((text) => [text, 1])) },
  naming: { session: { requested }, subject: { requested: subject !== "" }, patients: { commonId: "S1" }, row: null },
});
const session = (more) => ({ label: "SAME", place: "prearchive", state: "ready", subject: "S1", study_uid: "1.2", ...more });
const choose = (more) => Object.assign(options, { where: "project", project: "P", destination: "", overwrite: "", ignore: true, ...more });
const said = (decision, known, destination = "", code = 4) => {
  choose({ destination });
  site.codes = { P: code };
  const { notes } = forecastOf(decision, { label: null, study: null, ...known });
  return notes.filter((note) => !decision.held.includes(note.code)).map(({ kind, words }) => `${kind}: ${words}`).join(" ");
};

test("a study that waits in the prearchive is joined by what is bound there, and left alone by what is archived", () => {
  const study = session();
  for (const [destination, code] of [["archive", 0], ["", 4], ["", 5]]) {
    for (const requested of [false, true]) {
      assert.match(said(one({ requested }), { study }, destination, code), /^warn: .* as SAME: that session stays there, and this one will be archived as NEW\.$/);
    }
  }
  for (const [destination, code] of [["prearchive", 4], ["", 0]]) {
    assert.match(said(one(), { study }, destination, code), /^there: .* as SAME: it goes there\.$/);
    assert.match(said(one({ requested: true }), { study }, destination, code), /^held: .* under another label it will be held for review/);
  }
});

test("a study that is held in the prearchive under another label is told of, and joined by nothing", () => {
  const study = session({ state: "conflict" });
  for (const requested of [false, true]) {
    assert.match(said(one({ requested }), { study }, "prearchive"), /^warn: .* as SAME, held for review: this one will wait beside it as NEW\.$/);
  }
  const label = session({ label: "NEW", state: "ready" });
  assert.match(said(one(), { study, label }, "prearchive"), /^warn: .* beside it as NEW\. there: NEW is in the prearchive already/);
  assert.match(said(one(), { study }, "archive"), /^warn: .* as SAME: that session stays there/);
});

test("a label that an assessor has is no session's", () => {
  const label = session({ label: "NEW", place: "archive", study_uid: null, assessor: true });
  for (const destination of ["archive", "prearchive"]) {
    assert.match(said(one(), { label }, destination), /^there: NEW is an assessor of .*: this one gets a suffix\.$/);
    assert.match(said(one({ requested: true }), { label }, destination), /^held: NEW is an assessor of .* held for review\.$/);
  }
});

test("other subjects of the patient, and other sessions of the ECAT files, are told of", () => {
  assert.equal(said(one(), { subjects: [], ecat: [] }), "");
  assert.equal(said(one(), { subjects: ["S2", "S3"] }), "warn: This patient ID has another subject in the project: S2, S3.");
  assert.equal(said(one(), { ecat: ["E1"] }), "warn: Some of its ECAT files are archived already, in E1.");
});

test("a comment's AA goes before the project's own setting, and after what the form says", () => {
  const study = session();
  assert.match(said(one({ comments: ["AA:false"] }), { study }, "", 4), /it goes there/);
  assert.match(said(one({ comments: ["AA:true"] }), { study }, "", 0), /that session stays there/);
  assert.match(said(one({ comments: ["AA:true"] }), { study }, "prearchive", 0), /it goes there/);
});

test("what is held stands in the prearchive whatever the destination", () => {
  assert.match(said(one({ held: ["patient_mismatch"] }), { study: session() }, "archive"), /it goes there/);
});

test("an archived study is gone to by what is archived; another label or subject is held", () => {
  const study = session({ place: "archive" });
  assert.match(said(one(), { study }), /^there: .* archived as SAME: it goes there\.$/);
  assert.match(said(one(), { study }, "prearchive"), /will wait in the prearchive under that label/);
  assert.match(said(one({ requested: true }), { study }), /^held: .* under another label/);
  assert.match(said(one({ subject: "S2" }), { study }), /^held: SAME belongs to subject S1: under another subject/);
  assert.match(said(one({ subject: "s1" }), { study }), /it goes there/);
});

test("the same label: joined, left alone, or another study's", () => {
  const label = session({ label: "NEW" });
  assert.match(said({ ...one(), study: { ...one().study, images: 85 } }, { label, study: label, same_images: true }, "prearchive"), /^there: NEW is in the prearchive already: its 85 images are there\. Identical/);
  assert.match(said(one(), { label, study: label }, "prearchive"), /^there: NEW is in the prearchive already: new files are added\.$/);
  assert.match(said(one(), { label, study: label }), /^warn: NEW is in the prearchive already: that session stays there/);
  assert.match(said(one(), { label: session({ label: "NEW", place: "archive" }) }), /^there: NEW is archived already: new files are added\.$/);
  assert.match(said(one(), { label: session({ label: "NEW", place: "archive" }) }, "", 5), /images that it has already are replaced, unless identical, and others are added/);
  const same = session({ label: "NEW", place: "archive" });
  const decided = () => Object.assign(one(), { study: { ...one().study, images: 85 } });
  assert.match(said(decided(), { label: same, study: same, same_images: true }, "", 5), /^there: NEW is archived already: up to 85 files replace 85 archived ones\. Identical files change nothing\.$/);
  assert.match(said(decided(), { label: same, study: same, same_images: true }), /its 85 images are archived\. Identical files change nothing; files with other content are held for review\.$/);
  assert.match(said(decided(), { label: same, study: same, same_images: false }, "", 5), /images that it has already are replaced/);
  const other = session({ label: "NEW", place: "archive", study_uid: "9" });
  assert.match(said(one(), { label: other }), /this one gets a suffix/);
  assert.match(said(one({ requested: true }), { label: other }), /^held: .* this one will be held for review/);
});

/** An archive that was looked into, of studies {uid, label, requested, patient, held ...}. */
const archive = (name, ...studies) => {
  const decisions = studies.map(({ uid, label, requested = false, patient = uid, held = [], subject = "" }) => ({
    ...one({ requested, subject, held }),
    label,
    study: new Study({ key: uid, uid, series: [], ecat: [], sessionFolders: {}, folders: [] }),
    naming: { session: { requested }, subject: { requested: subject !== "" }, patients: { commonId: patient }, row: null },
  }));
  return { id: name, name: `${name}.zip`, size: 1, taken: decisions, decisions, problem: "", transfer: null, found: { counts: { images: 1, unparseable: 0 } } };
};
const foreseen = (...archives) => {
  foresee(archives);
  return archives.flatMap(({ name, decisions }) => decisions.map(({ forecast }) => `${name[0]} ${forecast.verdict || forecast.words.split(" ").slice(0, 3).join(" ")}`));
};
const follows = (...archives) => archives.map((pick) => [...pick.follows].map(({ id }) => id).join());

test("of archives that give one label to several studies the first gets it, and each other row says that it is held", () => {
  choose();
  site.codes = { P: 4 };
  const ten = [..."abcdefghij"].map((name) => archive(name, { uid: `1.${name}`, label: "SAME", requested: true }));
  assert.deepEqual(foreseen(...ten), ["a Will be archived", ...[..."bcdefghij"].map((name) => `${name} held`)]);
  assert.deepEqual(follows(...ten), ["", ..."a".repeat(9)]);
  const [warning] = warningsOf(ten);
  assert.equal(warning.words, "9 sessions share a label with another and will be held for review.");
  assert.deepEqual(warning.rows, ten.slice(1).map((pick) => `${pick.id} ${pick.decisions[0].study.key}`));
  assert.equal(heldWords(ten), warning.words);
  assert.equal(ten[9].decisions[0].forecast.words, "Will be held for review in P as S1 / SAME");
  assert.equal(ten[9].decisions[0].forecast.notes[0].words, "SAME is in a.zip with another study: this one will be held for review.");
});

test("what is held, left out or not uploaded has no claim to its label", () => {
  choose();
  const held = archive("a", { uid: "1", label: "SAME", requested: true, held: ["patient_mismatch"] });
  const problem = { ...archive("b", { uid: "2", label: "SAME", requested: true }), problem: "It is encrypted." };
  const third = archive("c", { uid: "3", label: "SAME", requested: true });
  assert.deepEqual(foreseen(held, problem, third), ["a held", "b Will not be", "c Will be archived"]);
  assert.equal(heldWords([held, problem, third]), "1 session will be held for review.");
  const twice = archive("d", ...["4", "5"].map((uid) => ({ uid, label: "SAME", requested: true, held: ["label_many_studies"] })));
  assert.deepEqual(foreseen(twice, third), ["d held", "d held", "c Will be archived"]);
  choose({ ignore: false });
  const refused = archive("e", { uid: "6", label: "SAME", requested: true });
  refused.found.counts.unparseable = 1;
  assert.deepEqual(foreseen(refused, third), ["e Will be refused", "c Will be archived"]);
});

test("labels out of headers get a suffix, whichever comes later; a label that was named waits behind one that is there", () => {
  choose();
  const derived = () => [archive("a", { uid: "1", label: "SAME" }), archive("b", { uid: "2", label: "SAME" })];
  const both = derived();
  assert.deepEqual(foreseen(...both), ["a Will be archived", "b Will be archived"]);
  assert.deepEqual(both.map(({ decisions: [{ forecast }] }) => forecast.notes.map(({ words }) => words).join()), [
    "b.zip brings another study with this label: one of the two gets a suffix.",
    "a.zip brings another study with this label: one of the two gets a suffix.",
  ]);
  for (const { decisions: [{ forecast }] } of both) assert.equal(forecast.words, "Will be archived in P as S1 / SAME, or SAME with a suffix");
  assert.deepEqual(follows(...both), ["", ""]);
  const three = [...derived(), archive("c", { uid: "3", label: "same" })];
  foresee(three);
  assert.equal(warningsOf(three)[0].words, "3 sessions share a label with another archive: each gets a label of its own, all but one with a suffix.");
  assert.equal(new Set(three.map(({ decisions: [{ forecast }] }) => forecast.notes[0].words)).size, 1, "the same in each row");
  const sending = derived();
  foresee(sending);
  Object.assign(sending[0], { transfer: { state: "running" } });
  foresee(sending);
  for (const { decisions: [{ forecast }] } of sending) assert.equal(forecast.words, "Will be archived in P as S1 / SAME, or SAME with a suffix");
  assert.deepEqual(sending[1].decisions[0].forecast.notes.map(({ code }) => code), ["meets_derived"]);
  assert.deepEqual(follows(...sending), ["", ""]);
  const named = archive("c", { uid: "3", label: "SAME", requested: true });
  const [first] = derived();
  assert.deepEqual(foreseen(first, named), ["a Will be archived", "c held"]);
  assert.deepEqual(foreseen(named, first), ["c Will be archived", "a there"]);
  assert.equal(first.decisions[0].forecast.words, "SAME is in c.zip with another study: this one gets a suffix.");
  assert.deepEqual(follows(named, first), ["", "c"]);
});

test("a study that several archives bring is one session, held where it is given another label or subject", () => {
  choose();
  const pair = (more) => [archive("a", { uid: "1", label: "ONE", requested: true, subject: "S1" }), archive("b", { uid: "1", label: "ONE", requested: true, subject: "S1", ...more })];
  const same = pair({});
  assert.deepEqual(foreseen(...same), ["a Will be archived", "b Will be archived"]);
  assert.equal(warningsOf(same)[0].words, "2 studies in several archives: equal files are stored once.");
  assert.deepEqual(foreseen(...pair({ label: "TWO" })), ["a Will be archived", "b held"]);
  assert.deepEqual(foreseen(...pair({ subject: "S2" })), ["a Will be archived", "b held"]);
  assert.deepEqual(foreseen(...pair({ label: "PAT", requested: false })), ["a Will be archived", "b there"]);
  choose({ overwrite: "none" });
  assert.deepEqual(foreseen(...pair({})), ["a Will be archived", "b held"]);
});

test("an archive that is on its way comes before what is added to the list", () => {
  choose();
  const sending = { ...archive("a", { uid: "1", label: "SAME", requested: true }) };
  foresee([sending]);
  sending.transfer = { state: "running" };
  const later = archive("b", { uid: "2", label: "SAME", requested: true });
  foresee([sending, later]);
  assert.deepEqual([later.decisions[0].forecast.verdict, follows(later)[0]], ["held", "a"]);
  sending.transfer = { state: "cancelled" };
  foresee([sending, later]);
  assert.deepEqual([later.decisions[0].forecast.verdict, follows(later)[0]], ["", ""]);
});

test("without a project that can be uploaded to, rows say so and name none", () => {
  choose({ project: "" });
  const nameless = archive("a", { uid: "1", label: "L" });
  nameless.decisions[0].project = "Unassigned";
  foresee([nameless]);
  assert.equal(nameless.decisions[0].forecast.words, "Name a project first.");
  assert.deepEqual(warningsOf([nameless]), []);
  choose({ project: "nowhere" });
  foresee([nameless]);
  assert.match(nameless.decisions[0].forecast.words, /“nowhere”/);
  choose({ where: "headers" });
  foresee([nameless]);
  assert.equal(nameless.decisions[0].forecast.words, "Will wait in the prearchive without a project as S1 / L");
  assert.equal(warningsOf([nameless])[0].code, "unassigned");
});

/** As `archive`, of patients whose images name the subject S. */
const ofName = (name, ...patients) => {
  const made = archive(name, ...patients.map((patient, at) => ({ uid: `${name}.${at}`, label: `${name}${at}`, patient })));
  const several = new Set(patients).size > 1;
  for (const decision of made.decisions) {
    const apart = `S_${decision.naming.patients.commonId}`;
    Object.assign(decision, { derived: { bare: "S", apart, several }, subject: several ? apart : "S", warnings: several ? ["subjects_told_apart"] : [] });
  }
  return made;
};
const subjects = (...archives) => {
  foresee(archives);
  return archives.flatMap(({ decisions }) => decisions.map(({ subject }) => subject));
};

test("patients of one name are told apart in the order of the list, by archives that wait for each other", () => {
  choose();
  site.codes = { P: 4 };
  const four = [ofName("a", "1"), ofName("b", "2"), ofName("c", "1"), ofName("d", "2")];
  assert.deepEqual(subjects(...four), ["S", "S_2", "S", "S_2"]);
  assert.deepEqual(follows(...four), ["", "a", "", "a,b"]);
  assert.deepEqual(subjects(...four.toReversed()), ["S", "S_1", "S", "S_1"], "another order, and the first has it");
  assert.equal(four[0].decisions[0].forecast.notes[0].words, "d.zip gives the subject S to another patient: a code was added to tell them apart.");
  assert.equal(warningsOf(four)[0].words, "2 sessions whose subject is another patient's already: a code was added to tell them apart.");
  const both = ofName("e", "1", "2");
  assert.deepEqual(subjects(ofName("a", "1"), both), ["S", "S", "S_2"], "who has it keeps it");
  assert.deepEqual([follows(both)[0], both.decisions.map(({ forecast }) => forecast.notes.length)], ["a", [0, 2]]);
  const later = [both, ofName("f", "2")];
  assert.deepEqual([subjects(...later), follows(...later)], [["S_1", "S_2", "S_2"], ["", "e"]]);
});

test("a patient's own subject, with a code or without, is no other one", () => {
  const derived = { bare: "S", apart: "S_1", several: false };
  const among = (there, more) => subjectAmong({ ...derived, ...more }, (label) => there[label] ?? null);
  const [own, others] = [(label) => ({ label, own: true }), (label) => ({ label, own: false })];
  assert.deepEqual([among({}), among({}, { several: true })], ["S", "S_1"]);
  assert.equal(among({ S: own("s") }, { several: true }), "s", "as it is spelled there");
  assert.equal(among({ S: others("S") }), "S_1");
  assert.equal(among({ S_1: own("S_1") }), "S_1", "who was told apart before stays so");
  assert.equal(said(one(), { subjects: ["s1"] }), "");
  const study = session({ label: "NEW", place: "archive", subject: "S9" });
  assert.equal(said(one(), { label: study, study, subjects: ["S9"] }), "there: NEW is archived already: new files are added.", "it goes to that subject");
});

test("archives that have some of the same images follow each other, and each says what becomes of these", () => {
  choose();
  site.codes = { P: 4 };
  const of = (name, ...crcs) => {
    const made = archive(name, { uid: "1", label: "K1", patient: "K1" });
    made.decisions[0].study.imageCrcs = Uint32Array.from(crcs);
    return made;
  };
  const words = (...archives) => {
    foresee(archives);
    return archives.map(({ decisions: [{ forecast }] }) => forecast.notes.map((note) => note.words).join(" "));
  };
  const two = [of("a", 1, 2, 3), of("b", 3, 4)];
  assert.deepEqual(words(...two), ["b", "a"].map((name) => `${name}.zip has some of the same images: identical ones are stored once, others are held for review.`));
  assert.deepEqual(follows(...two), ["", "a"]);
  assert.equal(warningsOf(two)[0].words, "2 studies with images that other archives have too: identical ones are stored once, others are held for review.");
  const three = [of("a", 1, 2), of("b", 3, 4), of("c", 4, 5)];
  assert.deepEqual([words(...three)[0], follows(...three)], ["Other archives on the list have this study too: equal files are stored once.", ["", "", "b"]]);
  choose({ overwrite: "delete" });
  assert.match(words(...two)[1], /some of the same images: of those that differ the ones imported last stay/);
  choose({ ignore: false });
  two[1].found.counts.unparseable = 1;
  assert.deepEqual(words(...two)[0], "", "what will be refused brings nothing");
  choose();
  two[0].transfer = { state: "running" };
  assert.deepEqual([words(...two)[1], follows(two[1])[0]], ["a.zip has some of the same images: identical ones are stored once, others are held for review.", "a"]);
});

test("where some of the images are there already, what becomes of these is said with their count", () => {
  const label = session({ label: "NEW", place: "archive" });
  const decided = () => Object.assign(one(), { study: { ...one().study, images: 6, imageCrcs: new Uint32Array(6) } });
  const some = (shared, code) => said(decided(), { label, study: label, same_images: false, shared_images: shared }, "", code);
  assert.equal(some(4), "there: NEW is archived already: 4 of its 6 images are archived. Identical files change nothing; files with other content are held for review. 2 more are added.");
  assert.equal(some(6), "there: NEW is archived already: its 6 images are archived. Identical files change nothing; files with other content are held for review.", "a subset, too");
  assert.equal(some(0), "there: NEW is archived already: new files are added.");
  assert.equal(some(6, 5), "there: NEW is archived already: up to 6 files replace 6 archived ones. Identical files change nothing.");
  assert.equal(some(5, 5), "there: NEW is archived already: up to 5 files replace 5 archived ones. Identical files change nothing. 1 more is added.");
});
