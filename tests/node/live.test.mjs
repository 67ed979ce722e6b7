import assert from "node:assert/strict";
import test from "node:test";
import { load } from "./modules.mjs";

const { Pace, farOf, left, number, paceOf, plural, size } = await load("../live/figures.js");
const { Parser, Reading } = await load("../live/reading.js");
const { headingOf, Standing } = await load("../live/standing.js");

test("figures are those of the server's pages", () => {
  assert.deepEqual(
    [0, 1, 999, 999_499, 999_500, 12_345_678, 123_456_789, 5e12].map(size),
    ["0 bytes", "1 byte", "999 bytes", "999 kB", "1.0 MB", "12.3 MB", "123 MB", "5.0 TB"],
  );
  assert.deepEqual([0, 999, 1_000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
  assert.equal(plural(1, "entry", "entries"), "1 entry");
  const far = { bytes: { done: 5_000, total: 10_000 }, entries: { done: 3, total: null } };
  assert.equal(farOf(far), "5.0 kB of 10.0 kB · 3 entries");
  assert.equal(farOf({ bytes: { done: 7, total: null }, entries: null }), "7 bytes");
});

test("a time left is told once it can be told, and not across stages", () => {
  const pace = new Pace();
  const at = (ms, done, stage = "reading", total = 10_000_000) => paceOf(pace.note(stage, { done, total }, ms));
  assert.equal(at(0, 0), "");
  assert.equal(at(1_000, 1_000_000), "");
  assert.equal(at(4_000, 4_000_000), "1.0 MB/s · a few seconds left");
  assert.equal(at(5_000, 0, "placing"), "");
  assert.equal(at(9_000, 400_000, "placing"), "100 kB/s · about 2 min left");
  assert.equal(at(30_000, 400_000, "placing"), "", "what stands still has no pace");
  assert.equal(at(31_000, 0, "placing"), "", "what begins anew has none either");
  assert.deepEqual([5, 42, 300, 9_000].map(left),
    ["a few seconds left", "about 50 s left", "about 5 min left", "about 2.5 h left"],
  );
});

test("a pause is no time that bytes take: what comes after it is counted anew", () => {
  const pace = new Pace();
  const at = (ms, done, stage = "a") => paceOf(pace.note(stage, { done, total: 61_000_000 }, ms));
  at(0, 0);
  assert.equal(at(4_000, 10_000_000), "2.5 MB/s · about 30 s left");
  assert.equal(at(64_000, 10_150_000), "", "what was not noted for a minute has stood still");
  assert.equal(at(66_000, 12_150_000), "");
  assert.equal(at(68_000, 14_150_000), "1.0 MB/s · about 50 s left");
  pace.anew();
  assert.equal(at(69_000, 15_150_000), "");
  assert.equal(at(72_000, 24_150_000), "3.0 MB/s · about 20 s left");
});

test("a server is said to be away only once it has failed to answer", async () => {
  globalThis.addEventListener ??= () => {};
  const answers = [];
  const fetched = globalThis.fetch;
  globalThis.fetch = () => new Promise((resolve, reject) => answers.push(reject));
  const told = [];
  try {
    const reading = new Reading("http://localhost/events", "mia", () => {}, (state) => told.push(state));
    assert.equal(reading.state, "asking");
    reading.go();
    assert.deepEqual([reading.state, told], ["asking", []]);
    answers[0](new TypeError("refused"));
    await new Promise((done) => setImmediate(done));
    assert.deepEqual([reading.state, told], ["away", ["away"]]);
    reading.stop();
  } finally {
    globalThis.fetch = fetched;
  }
});

test("a stream that ended with its login begins again with the next one, and never with somebody else's", async () => {
  globalThis.addEventListener ??= () => {};
  const fetched = globalThis.fetch;
  const [asked, told] = [[], []];
  const begin = (user) => new Response(`id: 7\nevent: begin\ndata: {"user": "${user}", "imports": []}\n\nevent: running\ndata: {"of": "${user}"}\n\n`);
  const answers = [new Response("", { status: 401 }), begin("ann"), begin("mia")];
  globalThis.fetch = (address, { headers }) => {
    asked.push(headers);
    return answers.length ? Promise.resolve(answers.shift()) : new Promise(() => {});
  };
  let turn = () => {};
  const until = (state) => new Promise((done) => (turn = (now) => now === state && done()));
  const reading = new Reading("http://localhost/events", "mia", (kind, data) => told.push([kind, data.of]), (state) => {
    told.push(state);
    turn(state);
  });
  try {
    for (const state of ["ended", "ended", "open"]) {
      const is = until(state);
      reading.go();
      await is;
    }
    assert.deepEqual(told, ["ended", "asking", "ended", "asking", ["begin", undefined], ["running", "mia"], "open"]);
    assert.deepEqual(asked, [{}, {}, {}], "what was missed is told by the beginning of a stream, not behind its last event");
    reading.stop();
  } finally {
    globalThis.fetch = fetched;
  }
});

test("a stream is the same however it is cut", () => {
  const text = ': hello\r\nretry: 5\n\nid: 1-2\nevent: stage\ndata: {"a":\ndata: 1}\n\nid:\ndata:x\n\nevent: end\ndata: {}\n\n';
  const whole = new Parser().take(text);
  assert.deepEqual(whole, [
    { id: "1-2", kind: "stage", data: '{"a":\n1}' },
    { id: "", kind: "message", data: "x" },
    { id: null, kind: "end", data: "{}" },
  ]);
  for (let at = 0; at <= text.length; at += 1) {
    const parser = new Parser();
    assert.deepEqual([...parser.take(text.slice(0, at)), ...parser.take(text.slice(at))], whole);
  }
});

test("an upload counts as interrupted once no byte of it has come for two minutes", () => {
  let now = 1_000_000;
  const standing = new Standing(() => now);
  const one = (id, more) => ({ id, archive: id, project: null, state: "receiving", progress: null, ...more });
  standing.hear("begin", { imports: [one("cut", { silent: 130_000 }), one("slow", { silent: 90_000 }), one("runs", { state: "running" })] });
  const waits = () => standing.under.map((told) => standing.patience(told));
  assert.deepEqual(waits(), [0, 30_000, Infinity]);
  now += 29_000;
  standing.hear("progress", { id: "slow", mine: true, state: "receiving", stage: "receiving", bytes: { done: 1, total: 2 } });
  assert.deepEqual(waits(), [0, 120_000, Infinity]);
  const later = new Standing(() => now); // a listener that comes later, of what another one has heard
  later.hear("begin", { imports: standing.under });
  now += 120_000;
  assert.deepEqual(later.under.map((told) => later.patience(told)), [0, 0, Infinity]);
});

test("what stands still is counted as uploads that were interrupted or paused, not as imports under way", () => {
  assert.equal(headingOf({ interrupted: 5 }), "5 uploads interrupted");
  assert.equal(headingOf({ uploads: 2, imports: 1, interrupted: 1, paused: 3 }),
    "2 uploads, 1 import under way, 1 upload interrupted, 3 uploads paused");
  assert.equal(headingOf({ imports: 2 }), "2 imports under way");
  assert.equal(headingOf({}), "");
});

test("imports are under way until their outcome, and their changes are told once", () => {
  const standing = new Standing();
  const told = { id: "a", archive: "a.zip", project: "P", mine: true };
  standing.hear("begin", { imports: [{ id: "b", archive: "b.zip", project: null, state: "running", progress: null }] });
  assert.deepEqual(standing.under.map((one) => one.id), ["b"]);
  assert.equal(standing.hear("received", { ...told, mine: false }), null, "it is somebody else's");
  assert.equal(standing.hear("received", told).state, "received");
  assert.equal(standing.hear("received", told), null);
  assert.deepEqual(standing.under.map((one) => one.id), ["a", "b"]);
  assert.equal(standing.hear("found", { ...told, patients: ["A"] }), null, "who is found while bytes come changes nothing");
  assert.equal(standing.hear("running", { ...told, attempt: 1 }).state, "running");
  assert.equal(standing.hear("stage", { ...told, stage: "reading" }), null);
  const bytes = { done: 1, total: 2 };
  assert.equal(standing.hear("progress", { ...told, state: "running", stage: "reading", bytes }), null);
  assert.deepEqual(standing.under[0].progress, { stage: "reading", entries: null, bytes });
  assert.equal(standing.hear("outcome", { ...told, state: "held", message: "Decide." }).state, "held");
  assert.deepEqual(standing.under.map((one) => one.id), ["b"]);
  assert.deepEqual(standing.ended, [{ id: "a", archive: "a.zip", state: "held", message: "Decide." }]);
  standing.forget();
  assert.deepEqual(standing.ended, []);
});
