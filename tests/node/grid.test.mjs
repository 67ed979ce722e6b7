import assert from "node:assert/strict";
import test from "node:test";
import { load } from "./modules.mjs";

const { EditHistory } = await load("edit_history.js");
const { parseBlock, planBlock, planLabels } = await load("label_changes.js");
const { site } = await load("options.js");
const { filled, patternProblem } = await load("patterns.js");

const rows = (...labels) => labels.map((label) => ({ pick: "pick", one: { label, subject: `of ${label}` } }));
const briefly = (changes) => changes.map(({ one, column, label }) => [one.label, column, label]);

test("a spreadsheet's clipboard is lines of cells; quoted ones hold breaks, tabs and marks", () => {
  assert.deepEqual(parseBlock("a\tb\r\nc\td\r\n"), [["a", "b"], ["c", "d"]]);
  assert.deepEqual(parseBlock("a\n\nb"), [["a"], [""], ["b"]]);
  assert.deepEqual(parseBlock('"a\nb"\t"say ""x"""\r"open\nlast'), [["a\nb", 'say "x"'], ['"open'], ["last"]]);
  assert.deepEqual(parseBlock('5" tube\tb'), [['5" tube', "b"]]);
  assert.deepEqual(parseBlock(""), [[""]]);
});

test("a block fills rows down and columns right; what has no place or no letter is told", () => {
  const block = [["S 1", "V1", "more"], ["...", ""], ["S3"], ["S4"]];
  const plan = planBlock(rows("a", "b", "c"), "subject", block);
  assert.deepEqual(briefly(plan.changes), [["a", "subject", "S_1"], ["a", "session", "V1"], ["c", "subject", "S3"]]);
  assert.deepEqual([plan.pasted, plan.empty, plan.left, plan.wide], [3, [2], 1, 1]);
  const session = planBlock(rows("a", "b"), "session", [["a"], ["B2", "x"]]);
  assert.deepEqual([briefly(session.changes), session.pasted, session.wide], [[["b", "session", "B2"]], 2, 1]);
});

test("a project of each row is one that can be uploaded to, as it is written", () => {
  Object.assign(site, { codes: { LUNG: 4, HEART: 0 }, more: false });
  const list = rows("a", "b", "c").map((row) => ({ ...row, one: { ...row.one, project: "LUNG" } }));
  const plan = planBlock(list, "project", [["heart", "S1", "V1"], ["nowhere", "S2"], ["lung", ""]]);
  assert.deepEqual(briefly(plan.changes), [["a", "project", "HEART"], ["a", "subject", "S1"], ["a", "session", "V1"], ["b", "subject", "S2"]]);
  assert.deepEqual([plan.pasted, plan.empty, plan.unknown, plan.wide], [5, [], [2], 0]);
  const filled = planLabels(list, "project", (one, pick, n) => ["heart", "LUNG", "x y"][n - 1]);
  assert.deepEqual([briefly(filled.changes), filled.empty], [[["a", "project", "HEART"]], 1]);
});

test("a text for each row changes those that it gives another label", () => {
  const plan = planLabels(rows("a", "b", "c"), "session", (one, pick, n) => ["a", "x y", "!"][n - 1]);
  assert.deepEqual(briefly(plan.changes), [["b", "session", "x_y"]]);
  assert.deepEqual([plan.labels, plan.empty], [["a", "x_y", "c"], 1]);
});

test("the last step that changed something is undone, whole; gone maps are passed over", () => {
  const history = new EditHistory();
  const [one, other] = [new Map([["k", { session: "was" }]]), new Map()];
  const open = new Set([one, other]);
  const edit = (edits, key, value) => {
    history.note(edits, key);
    edits.set(key, value);
  };
  assert.equal(history.undo(open), null);
  edit(one, "free", { session: "no step" });
  history.step(() => [edit(one, "k", { session: "A" }), edit(one, "k", { session: "B" }), edit(other, "m", { subject: "S" })]);
  history.step(() => edit(one, "k", { session: "B" })); // changes nothing
  history.step(() => edit(other, "m", { subject: "T" }));
  assert.deepEqual([history.undo(open).count, other.get("m")], [1, { subject: "S" }]);
  assert.equal(history.undo(open).count, 2);
  assert.deepEqual([...one], [["k", { session: "was" }], ["free", { session: "no step" }]]);
  assert.deepEqual([other.size, history.isEmpty, history.undo(open)], [0, true, null]);
  history.step(() => edit(one, "k", { session: "C" }));
  history.step(() => edit(other, "m", { subject: "U" }));
  assert.equal(history.undo(new Set([one])).count, 1, "the step of what was sent is passed over");
  assert.deepEqual([one.get("k"), other.get("m")], [{ session: "was" }, { subject: "U" }]);
  let kept = null;
  history.step((step) => (kept = step), { isKept: true, table: "before" });
  history.within(kept, () => edit(one, "late", { session: "L" }));
  assert.deepEqual([history.undo(open).step.table, one.has("late")], ["before", false]);
});

test("what is wrong with a pattern is named", () => {
  assert.equal(patternProblem("{PatientID}_{StudyDate}_{n:3}-{n}"), "");
  assert.equal(patternProblem("{PatientID}_{Nope}{n:33}_{toString}"), "There is no field {Nope}, {n:33}, {toString}.");
  assert.equal(patternProblem("{PatientID"), "A brace is not closed: { has no }.");
  assert.equal(patternProblem("PatientID}"), "A brace is not opened: } has no {.");
  assert.equal(patternProblem("  "), "Enter a pattern.");
  assert.equal(filled("V{n:2}_{Label}", { label: "a" }, { name: "x.zip" }, 7), "V07_a");
});
