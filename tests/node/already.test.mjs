import assert from "node:assert/strict";
import test from "node:test";
import { load } from "./modules.mjs";

const { already } = await load("already.js");
const { options, site } = await load("options.js");

const one = ({ requested = false, subject = "", comments = [], held = [] } = {}) => ({
  project: "P",
  label: "NEW",
  subject: subject || "S1",
  held,
  study: { uid: "1.2", counts: () => new Map(comments.map((text) => [text, 1])) },
  naming: { session: { requested }, subject: { requested: subject !== "" } },
});
const session = (more) => ({ label: "SAME", place: "prearchive", state: "ready", subject: "S1", study_uid: "1.2", ...more });
const said = (decision, known, destination = "", code = 4) => {
  Object.assign(options, { destination, overwrite: "" });
  site.codes = { P: code };
  return already(decision, { label: null, study: null, ...known }).map(([kind, words]) => `${kind}: ${words}`).join(" ");
};

test("a study that waits in the prearchive is joined by what is bound there, and left alone by what is archived", () => {
  const study = session();
  for (const [destination, code] of [["archive", 0], ["", 4], ["", 5]]) {
    for (const requested of [false, true]) {
      assert.match(said(one({ requested }), { study }, destination, code), /^warn: .* as SAME: that stays there, and what comes is archived as NEW\.$/);
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
    assert.match(said(one({ requested }), { study }, "prearchive"), /^warn: .* as SAME, and waits for a decision: what comes will be there beside it, as NEW\.$/);
  }
  const label = session({ label: "NEW", state: "ready" });
  assert.match(said(one(), { study, label }, "prearchive"), /^warn: .* beside it, as NEW\. there: NEW is in the prearchive already/);
  assert.match(said(one(), { study }, "archive"), /^warn: .* as SAME: that stays there/);
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
  assert.equal(said(one(), { subjects: ["S2", "S3"] }), "warn: Its PatientID has another subject in the project: S2, S3.");
  assert.equal(said(one(), { ecat: ["E1"] }), "warn: ECAT files of it are archived already, in E1.");
});

test("a comment's AA goes before the project's own setting, and after what the form says", () => {
  const study = session();
  assert.match(said(one({ comments: ["AA:false"] }), { study }, "", 4), /it goes there/);
  assert.match(said(one({ comments: ["AA:true"] }), { study }, "", 0), /that stays there/);
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
  assert.match(said(one({ subject: "S2" }), { study }), /^held: SAME is of subject S1: under another subject/);
  assert.match(said(one({ subject: "s1" }), { study }), /it goes there/);
});

test("a session without a project is known by its images in the prearchive, too", () => {
  const decided = { ...one(), project: "Unassigned", study: { ...one().study, images: 85 } };
  const there = session({ label: "NEW" });
  assert.match(said(decided, { label: there, study: there, same_images: true }), /^there: NEW is in the prearchive already: its 85 images are there\. Identical/);
  assert.match(said(decided, { label: there, study: there, same_images: false }), /^there: NEW is in the prearchive already: new files are added\.$/);
});

test("the same label: joined, left alone, or another study's", () => {
  const label = session({ label: "NEW" });
  assert.match(said(one(), { label, study: label }, "prearchive"), /^there: NEW is in the prearchive already: new files are added\.$/);
  assert.match(said(one(), { label, study: label }), /^warn: NEW is in the prearchive already: that stays there/);
  assert.match(said(one(), { label: session({ label: "NEW", place: "archive" }) }), /^there: NEW is archived already: new files are added\.$/);
  assert.match(said(one(), { label: session({ label: "NEW", place: "archive" }) }, "", 5), /images replace those with the same UID/);
  const same = session({ label: "NEW", place: "archive" });
  const decided = () => Object.assign(one(), { study: { ...one().study, images: 85 } });
  assert.match(said(decided(), { label: same, study: same, same_images: true }, "", 5), /^there: NEW is archived already: 85 files replace 85 archived ones\.$/);
  assert.match(said(decided(), { label: same, study: same, same_images: true }), /its 85 images are archived\. Identical files change nothing; files with other content are held for review\.$/);
  assert.match(said(decided(), { label: same, study: same, same_images: false }, "", 5), /images replace those/);
  const other = session({ label: "NEW", place: "archive", study_uid: "9" });
  assert.match(said(one(), { label: other }), /this one gets a suffix/);
  assert.match(said(one({ requested: true }), { label: other }), /^held: .* this one will be held for review/);
});
