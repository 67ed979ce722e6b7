import assert from "node:assert/strict";
import test, { mock } from "node:test";
import { load } from "./modules.mjs";

globalThis.document ??= { querySelector: () => ({ dataset: { root: "", static: "", csrf: "", user: "olga" } }), addEventListener() {} };
globalThis.location ??= { href: "http://localhost/" };
globalThis.addEventListener ??= () => {};
const OfTab = globalThis.BroadcastChannel;
globalThis.BroadcastChannel = class extends OfTab {
  constructor(name) {
    super(name);
    this.unref(); // that of the page lives as long as its document
  }
};

const { newsOf } = await load("elsewhere.js");
const { publish } = await load("../bus.js");
const { askTabs, listenToTabs, stateElsewhere, tellTaken } = await load("../live/tabs.js");

test("what the stream says of an upload here: it goes on elsewhere, arrived, or was cancelled", () => {
  const at = (state, kind, data = {}, hasGrown = false) => newsOf({ state, sent: 100, hasGrown }, kind, data);
  const receiving = (done) => ({ state: "receiving", bytes: { done } });
  for (const state of ["waiting", "running", "held up", "paused", "stopped", "elsewhere"]) {
    assert.equal(at(state, "outcome", { state: "cancelled" }), "cancelled");
    assert.equal(at(state, "outcome", { state: "placed" }), "arrived");
  }
  for (const state of ["paused", "stopped"]) {
    assert.equal(at(state, "progress", receiving(100)), "");
    assert.equal(at(state, "progress", receiving(101)), "more", "what was on the wire when it was cut");
    assert.equal(at(state, "progress", receiving(101), true), "left");
    assert.equal(at(state, "received"), "arrived");
  }
  assert.equal(at("elsewhere", "progress", receiving(50)), "moved");
  assert.equal(at("elsewhere", "progress", { state: "running", bytes: { done: 1 } }), "arrived");
  assert.equal(at("running", "progress", receiving(200)), "");
  assert.equal(at("running", "received"), "", "its own answer comes");
  for (const state of ["done", "cancelled"]) assert.equal(at(state, "outcome", { state: "cancelled" }), "");
});

test("tabs tell each other which uploads they have, and who takes one over", async () => {
  const told = [];
  const other = new OfTab(JSON.stringify(["scandock-uploads", "", "olga"]));
  const next = () => new Promise((resolve) => (other.onmessage = ({ data }) => resolve(data)));
  const asking = next();
  const end = listenToTabs((...news) => told.push(news));
  assert.equal((await asking).kind, "asking");
  const having = next();
  publish("transfers", [{ id: "a", state: "running", sent: 1 }, { id: "b", state: "done" }, { id: "c", state: "elsewhere" }]);
  assert.deepEqual((await having).own, [["a", "running"]]);
  const heard = async (message) => {
    const before = told.length;
    other.postMessage({ tab: "other", ...message });
    while (told.length === before) await new Promise((resolve) => setImmediate(resolve));
    return told.at(-1);
  };
  assert.deepEqual((await heard({ kind: "have", own: [["x", "paused"]] }))[0], "changed");
  assert.deepEqual([stateElsewhere("x"), stateElsewhere("a")], ["paused", ""]);
  assert.deepEqual(await heard({ kind: "taken", id: "a" }), ["taken", "a"]);
  const taking = next();
  tellTaken("x");
  const { kind, id } = await taking;
  assert.deepEqual([kind, id], ["taken", "x"]);
  await heard({ kind: "have", own: [] });
  assert.equal(stateElsewhere("x"), "");

  await heard({ kind: "have", own: [["y", "running"]] });
  mock.timers.enable({ apis: ["setTimeout"] });
  askTabs();
  await heard({ kind: "have", own: [["y", "running"]] });
  mock.timers.tick(3000);
  assert.equal(stateElsewhere("y"), "running", "it has answered");
  askTabs();
  mock.timers.tick(3000);
  assert.equal(stateElsewhere("y"), "", "it is gone without a word");
  mock.timers.reset();
  end();
  other.close();
});
