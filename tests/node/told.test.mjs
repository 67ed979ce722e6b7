import assert from "node:assert/strict";
import test from "node:test";
import { load } from "./modules.mjs";

const { headingOf } = await load("heading.js");
const { asBegun, goesElsewhere, notIt, questionOf } = await load("not_taken.js");

const heading = (...states) => headingOf(states.map((state) => ({ state })));

test("the heading of the transfers tells what goes, what stands still, and at the end what became of them", () => {
  assert.equal(heading("running"), "Uploading 1 archive");
  assert.equal(heading("waiting", "running", "done", "cancelled"), "Uploading 2 archives");
  assert.equal(heading("running", "held up"), "Uploading 1 archive, retrying 1");
  assert.equal(heading("running", "stopped", "paused"), "Uploading 1 archive, stopped 1, paused 1");
  assert.equal(heading("stopped", "done"), "Stopped 1 archive");
  assert.equal(heading("paused", "paused"), "Paused 2 archives");
  assert.equal(heading("elsewhere", "done"), "1 archive goes on elsewhere");
  assert.equal(heading("paused", "elsewhere"), "Paused 1 archive, elsewhere 1");
  assert.equal(heading("done", "done"), "Uploaded 2 archives");
  assert.equal(heading("cancelled"), "Cancelled 1 archive");
  assert.equal(heading("done", "cancelled"), "Uploaded 1 archive, cancelled 1");
});

test("a file that is not the one that was to be chosen again is told by both names", () => {
  assert.match(notIt("DEV000.zip", [{ name: "DEV013.zip" }]), /^DEV013\.zip is not DEV000\.zip: it was not taken\. /);
  assert.match(notIt("DEV000.zip", [{ name: "DEV000.zip" }]), /^DEV000\.zip is not as it was when it was cut/);
  assert.match(notIt("visit.tar", [{ name: "visit", files: [] }]), /^visit is not as it was when it was cut/);
  assert.equal(notIt("a.zip", [{ name: "b.zip" }, { name: "c.zip" }]), "2 chosen files are not a.zip: they were not taken.");
});

test("an upload that goes on names its project, and asks first where the settings say another one or another tab has it", () => {
  const begun = (project, elsewhere = "") => ({ project, elsewhere });
  assert.deepEqual(
    [["HEART", "PRE"], ["HEART", ""], [null, "PRE"], ["HEART", "HEART"], [null, ""], ["HEART", null]].map(([project, settings]) => goesElsewhere(begun(project), settings)),
    [true, true, true, false, false, false],
  );
  assert.equal(questionOf(begun("HEART"), "PRE"), "It goes on as it was begun: into HEART. The settings say PRE. Go on here?");
  assert.equal(questionOf(begun(null), "PRE"), "It goes on as it was begun: into projects named by the headers. The settings say PRE. Go on here?");
  assert.equal(questionOf(begun("PRE"), "PRE"), "It goes on as it was begun: into PRE. Go on here?", "the settings were changed since it was asked");
  assert.equal(questionOf(begun("PRE", "paused"), "PRE"), "This archive is paused in another tab. Go on here?");
  assert.equal(questionOf(begun("HEART", "running"), "PRE"), "This archive is uploading in another tab. It goes on as it was begun: into HEART. The settings say PRE. Go on here?");
  assert.equal(asBegun("HEART"), "It goes on as it was begun: into HEART.");
});
