import assert from "node:assert/strict";
import test from "node:test";
import { load } from "./modules.mjs";

globalThis.document ??= { querySelector: () => ({ dataset: { root: "", static: "", csrf: "", user: "olga" } }), addEventListener() {} };
globalThis.location ??= { href: "http://localhost/" };
globalThis.addEventListener ??= () => {};

const { follow, lookAgain } = await load("outcomes.js");
const { site } = await load("options.js");
const { onProjects } = await load("projects.js");
const { outcomeWords, stateOfSession, TotalPace, unreadableWords } = await load("totals.js");

const { isEnded } = await load("../states.js");

const session = (now) => ({ now, project: now === "archived" ? "HEART" : null, code: "", new: 3, then: { project: "HEART" } });
const ended = (upload, ...nows) => ({ upload, state: "done", import: { state: "placed", sessions: nows.map(session) } });

let projects = null; // what the upload page names, by the server

/** What of `transfers` changes by a look where the server answers `answers` by import: [ids that were asked, that changed]. */
async function looked(transfers, answers) {
  const [asked, told] = [[], []];
  globalThis.fetch = async (path) => {
    if (path === "/upload") return projects === null ? new Response("", { status: 503 }) : new Response(JSON.stringify({ codes: projects }));
    const [, id] = /imports\/([^/]+)\/sessions$/.exec(path);
    asked.push(id);
    const answer = answers(id);
    if (typeof answer === "function") return answer();
    return Array.isArray(answer) ? Response.json({ items: answer.map(session), next: null }) : Response.json({ title: "No such import." }, { status: answer });
  };
  await lookAgain(transfers, ({ upload }) => told.push(upload));
  return [asked, told];
}

test("rows of ended imports say what was deleted or moved since, by one request each", async () => {
  site.codes = { HEART: 4 };
  const rows = [ended("a", "archived", "archived"), ended("b", "archived"), ended("c", "needs_decision"), { upload: "d", state: "running", import: null }];
  const answers = { a: ["archived", "deleted"], b: ["archived"], c: ["out_of_sight"] };
  assert.deepEqual(await looked(rows, (id) => answers[id]), [["a", "b", "c"], ["a", "c"]]);
  assert.equal(outcomeWords(rows.slice(0, 3)), "2 sessions archived in HEART. 1 session deleted from HEART. 1 session moved from HEART to another project.");
  assert.deepEqual(await looked(rows, (id) => answers[id]), [["a", "b", "c"], []]);
});

test("sessions of a project that one has no role in any more are out of sight, and were not moved", async (context) => {
  context.mock.timers.enable({ apis: ["Date"], now: Date.now() + 20_000 });
  globalThis.DOMParser = class {
    parseFromString = (told) => ({ getElementById: (id) => (id === "upload" ? { dataset: { told } } : null) });
  };
  globalThis.document.getElementById ??= () => null;
  projects = { LIVER: 4 };
  const row = ended("a", "archived", "archived");
  let told = 0;
  const end = onProjects(() => (told += 1));
  await looked([row], () => ["archived", "out_of_sight"]);
  end();
  assert.deepEqual([told, Object.keys(site.codes)], [1, ["LIVER"]]);
  assert.deepEqual(row.import.sessions.map(stateOfSession), ["archived", "hidden"]);
  assert.match(outcomeWords([row]), /1 session not visible to you/);
  site.codes = { HEART: 4 };
});

test("an import out of sight says nothing of archived sessions, and an unanswered look changes nothing", async () => {
  const rows = [ended("a", "archived"), ended("b", "archived"), ended("c", "archived")];
  const retried = () => {
    rows[2].import = { state: "received", sessions: [] };
    return Response.json({ items: [], next: null });
  };
  const [, told] = await looked(rows, (id) => ({ a: 404, b: 503, c: retried })[id]);
  assert.deepEqual(told, ["a"]);
  assert.deepEqual(rows.map((one) => [one.import.state, one.import.sessions.length]), [["forgotten", 0], ["placed", 1], ["received", 0]]);
});

test("a look asks about 50 imports at most, those next that were not asked", async () => {
  const rows = Array.from({ length: 70 }, (_, at) => ended(`i${at}`, "archived"));
  const asked = new Set();
  for (const count of [50, 50]) {
    const [ids] = await looked(rows, () => ["archived"]);
    assert.equal(ids.length, count);
    for (const id of ids) asked.add(id);
  }
  assert.equal(asked.size, 70);
});

test("files that could not be read are told of an archive whose others were imported", async () => {
  globalThis.fetch = async (path) => {
    if (/events$/.test(path)) return new Response("", { status: 404 });
    if (/sessions$/.test(path)) return Response.json({ items: [session("archived")], next: null });
    return Response.json({ state: "placed", code: "", message: "", progress: null, entries: { stored: 4, unparseable: 1 } });
  };
  const row = { upload: "odd", state: "done", import: null };
  await new Promise((resolve) => follow(row, (_, turn) => turn && isEnded(row.import.state) && resolve()));
  assert.equal(unreadableWords([row]), "1 file could not be read");
  assert.equal(outcomeWords([row, ended("a", "archived")]), "2 sessions archived in HEART. 1 file could not be read.");
  const refused = { state: "done", import: { state: "refused", sessions: [], unreadable: 3 } };
  assert.equal(unreadableWords([refused]), "", "its row says why it was refused");
});

test("a session that several archives brought is one session of the last line", () => {
  const brought = (name, ...ids) => ({ ...ended(name), import: { state: "placed", sessions: ids.map((id) => ({ ...session("archived"), session: id })) } });
  assert.equal(outcomeWords([brought("confA", "K1"), brought("confB", "K1"), brought("bg", "B0", "B1", "B2")]), "4 sessions archived in HEART.");
  assert.equal(outcomeWords([brought("a", "K1"), brought("b", null), brought("c", null)]), "3 sessions archived in HEART.");
  const stored = { ...brought("again", "K1") };
  stored.import.sessions[0].new = 0;
  assert.equal(outcomeWords([stored, brought("more", "K1")]), "1 session archived in HEART.");
});

test("the time left of all archives is that of those that go, and a pause is no part of it", () => {
  const one = (id, state, sent) => ({ id, state, sent, total: 10_000_000 });
  const [a, b] = [one("a", "running", 0), one("b", "running", 0)];
  const pace = new TotalPace();
  const at = (ms) => {
    const told = pace.note([a, b], ms);
    return told && [told.rate, told.left];
  };
  assert.equal(at(0), null);
  [a.sent, b.sent] = [2_000_000, 2_000_000];
  assert.deepEqual(at(4_000), [1_000_000, 16]);
  b.state = "paused";
  assert.deepEqual(at(4_100), [1_000_000, 8], "of the bytes that go, by the pace that was seen last");
  a.sent = 4_000_000;
  assert.deepEqual(at(8_100), [500_000, 12]);
  a.state = "paused";
  assert.equal(at(9_000), null);
  [a.state, b.state] = ["running", "running"];
  assert.equal(at(69_000), null);
  a.sent = 8_000_000;
  assert.deepEqual(at(73_000), [1_000_000, 10]);
});
