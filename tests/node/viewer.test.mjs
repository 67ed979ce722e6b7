// The viewer's own parts: which frames are fetched and let go, how windows make grey, where a stack leads.
import assert from "node:assert/strict";
import test from "node:test";
import { load } from "./modules.mjs";

globalThis.document = { querySelector: () => ({ dataset: { root: "", static: "", csrf: "", user: "" } }) };
const { Frames } = await load("../viewer/frames.js");
const { Stack } = await load("../viewer/stack.js");
const { View } = await load("../viewer/view.js");
const { figure, presetsOf, shade, table } = await load("../viewer/windows.js");

const FACTS = { kind: "grey", signed: false, slope: 1, intercept: 0, invert: false };
const ALONG = (many) => (at, step) => (at + step >= 0 && at + step < many ? at + step : null);
const settled = () => new Promise((done) => setImmediate(done));

/** A server whose answers wait until they are let out by `answer(at)`. */
function server() {
  const waiting = new Map();
  const asked = [];
  globalThis.fetch = (path, { signal }) => {
    const at = Number(/frames\/(\d+)/.exec(path)[1]);
    asked.push(at);
    return new Promise((give, refuse) => {
      signal.addEventListener("abort", () => refuse(new DOMException("let go", "AbortError")));
      const headers = { get: (name) => (name === "X-Scandock-Frame" ? JSON.stringify(FACTS) : null) };
      waiting.set(at, () => give({ ok: true, headers, arrayBuffer: async () => new Uint16Array(4).buffer }));
    });
  };
  const answer = async (at) => {
    waiting.get(at)();
    await settled();
  };
  return { asked, answer };
}

test("neighbours are fetched before they are asked for, more of them ahead", async () => {
  const { asked, answer } = server();
  const frames = new Frames("/scan", 1, 100);
  frames.look(50);
  const wanted = frames.want(50);
  await answer(50);
  await wanted;
  frames.around(50, 1, ALONG(100));
  for (let at = 51; at <= 54; at++) await answer(at);
  for (const at of [55, 56, 49, 48]) await answer(at);
  assert.deepEqual(asked, [50, 51, 52, 53, 54, 55, 56, 49, 48]);
  assert.ok(frames.here(53) && !frames.here(57));
});

test("an image that is jumped to is not let go by what was fetched ahead before", async () => {
  const { answer } = server();
  const frames = new Frames("/scan", 1, 100);
  frames.look(0);
  const first = frames.want(0);
  await answer(0);
  await first;
  frames.around(0, 1, ALONG(3));
  frames.look(80);
  const far = frames.want(80);
  await answer(1); // what follows it is no more of interest
  await answer(80);
  assert.equal((await far).kind, "grey");
});

test("who comes back to an image that was let go gets it", async () => {
  const { asked, answer } = server();
  const frames = new Frames("/scan", 1, 100);
  frames.look(0);
  frames.want(0);
  for (const at of [20, 40, 60, 80]) {
    frames.look(at);
    frames.want(at).catch(() => {});
  }
  frames.look(0);
  const back = frames.want(0);
  await answer(0);
  assert.equal((await back).kind, "grey");
  assert.equal(asked.filter((at) => at === 0).length, 2);
});

test("grey is what the standard says, for every number that there is", () => {
  const frame = { ...FACTS, signed: true, slope: 2, intercept: -500 };
  const greys = table(frame, { center: 1000, width: 4000, function: "linear" }, false);
  const grey = (number) => greys[number & 0xffff] & 0xff;
  assert.deepEqual([-32768, -251, 2000, 32767].map(grey), [0, 0, 255, 255]);
  assert.equal(grey(750), Math.floor(((1000 - 999.5) / 3999 + 0.5) * 255 + 0.5));
  const turned = table({ ...frame, invert: true }, { center: 1000, width: 4000, function: "linear" }, false);
  assert.equal(turned[750] & 0xff, 255 - grey(750));
  assert.equal(shade(5, { center: 5, width: 10, function: "linear_exact" }), 0.5);
  assert.equal(shade(5, { center: 5, width: 10, function: "sigmoid" }), 0.5);
  assert.deepEqual([4, 5].map((one) => shade(one, { center: 5, width: 1, function: "linear" })), [0, 1]);
});

test("there is always a window: the header's, an automatic one, the full range, the usual ones of CT", () => {
  const automatic = { center: 50, width: 90, function: "linear_exact" };
  const frame = { ...FACTS, windows: [], automatic, low: 0, high: 100 };
  assert.deepEqual(presetsOf(frame, "MR").map((one) => one.name), ["Automatic", "Full range"]);
  assert.deepEqual(presetsOf(frame, "MR")[0].window, automatic);
  assert.ok(presetsOf({ ...frame, high: 0 }, "MR")[1].window.width > 0);
  const named = { ...frame, windows: [{ center: 1, width: 2, name: "BONE" }, { center: 3, width: 4, name: "" }] };
  const names = presetsOf(named, "CT").map((one) => one.name);
  assert.deepEqual(names.slice(0, 4), ["BONE", "From the header, 2", "Automatic", "Full range"]);
  assert.ok(names.includes("Lung (-600 / 1500)"));
});

test("a stack leads through places, and at each through its times", () => {
  const image = (place, turn) => [0, 0, place, turn, 7, "101530.25", [1, 2.04, place]];
  const stack = new Stack({ places: 2, images: [image(0, 0), image(0, 1), image(1, 0)] });
  assert.deepEqual([stack.turns(0), stack.turns(1)], [2, 1]);
  assert.deepEqual([stack.at(0, 1), stack.at(1, 1), stack.at(9, 9), stack.at(-1, 0)], [1, 2, 2, 0]);
  assert.deepEqual([stack.further(1, 1), stack.further(2, 1)], [2, null]);
  assert.equal(stack.words(0), "at 1, 2, 0 mm");
  assert.equal(stack.moment(0), "no. 7 · 10:15:30.25");
});

test("figures have the digits that tell something", () => {
  assert.deepEqual([0, 0.12345, 12.345, 4032.79, -1024, NaN].map(figure), ["0", "0.1235", "12.35", "4032.8", "-1024", ""]);
});

test("large and small figures are plain where that is short, and never long", () => {
  const large = [12660.4, 65535, 123456.7, 2e6, 12660437.5, -99999999, 2404985472, 1.26e300];
  assert.deepEqual(large.map(figure), ["12660", "65535", "123457", "2000000", "12660000", "-1e8", "2.405e9", "1.26e300"]);
  assert.deepEqual([0.001, -0.0012349, 0.00001266, 1.23456e-10].map(figure), ["0.001", "-0.001235", "1.266e-5", "1.235e-10"]);
  for (let power = -40; power < 40; power++) {
    for (const value of [-1.23456789 * 10 ** power, -9.99999999 * 10 ** power]) {
      const said = figure(value);
      assert.ok(said.length <= 11, said);
      assert.ok(Math.abs(Number(said) - value) <= Math.abs(value) * 0.006, said);
    }
  }
});

/** An image of 200 x 100 mm with pixels of 1 mm x 2 mm, in a stage of 400 x 300. */
function viewed(stage = { width: 400, height: 300 }) {
  const view = new View();
  view.measure(stage, { width: 200, height: 100 }, 1);
  return view;
}
const rounded = (box) => Object.values(box).map((one) => Math.round(one * 1000) / 1000);

test("an image is fitted into its stage, and zoomed at a point that stays where it is", () => {
  const view = viewed();
  assert.deepEqual(rounded(view.box), [0, 50, 400, 200]);
  view.zoomBy(4, { x: 100, y: 100 }); // a quarter across and down
  assert.deepEqual(rounded(view.box), [-300, -100, 1600, 800]);
  view.zoomBy(1 / 4, { x: 100, y: 100 });
  assert.deepEqual(rounded(view.box), [0, 50, 400, 200]);
  view.zoomBy(2);
  assert.deepEqual(rounded(view.box), [-200, -50, 800, 400]);
  assert.equal(view.fitted, false);
  view.fit();
  assert.equal(view.fitted, true);
});

test("some of the image is always in the middle of the stage, however far it is moved", () => {
  const view = viewed();
  view.pan(30, -20);
  assert.deepEqual(rounded(view.box), [30, 30, 400, 200]);
  view.pan(-9000, 9000);
  assert.deepEqual(rounded(view.box), [-200, 150, 400, 200]);
  view.zoomBy(1e9);
  assert.equal(view.zoom, 40);
  view.zoomBy(1e-9);
  assert.equal(view.zoom, 0.5);
});

test("what is looked at stays in the middle where the stage or the next image has another size", () => {
  const view = viewed();
  view.zoomBy(3, { x: 50, y: 60 });
  const { x, y } = view;
  view.measure({ width: 1000, height: 1000 }, { width: 512, height: 512 }, 1);
  const { left, top, width, height } = view.box;
  assert.deepEqual([(500 - left) / width, (500 - top) / height].map((one) => one.toFixed(9)), [x, y].map((one) => one.toFixed(9)));
  assert.equal(width, 3000);
});

test("at 1:1 the shorter side of a pixel is one of the screen, also where that is beyond the usual zoom", () => {
  const view = viewed();
  view.actual(2);
  assert.equal(view.pixelSize, 0.5);
  view.measure({ width: 400, height: 300 }, { width: 20000, height: 10000 }, 1);
  view.actual(1);
  assert.equal(view.pixelSize, 1);
  view.measure({ width: 400, height: 300 }, { width: 8, height: 8 }, 1);
  view.actual(1);
  assert.equal(view.pixelSize, 1);
});

test("why something did not come is told in the server's words or in ours, never in the browser's", async () => {
  const { answerOf, reasonOf } = await load("../site.js");
  const reason = (promise) => promise.then(() => "", reasonOf);
  const response = (status, text) => ({ ok: status === 200, status, json: async () => JSON.parse(text) });
  assert.equal(await reason(answerOf(response(403, '{"detail": "You may not.", "remedy": "Ask."}'))), "You may not. Ask.");
  assert.equal(await reason(answerOf(response(502, "<html>"))), "The server answered 502.");
  assert.equal(await reason(answerOf(response(200, "<html>"))), "The server's answer can't be read. Reload the page.");
  assert.equal(await reason(Promise.reject(new TypeError("Failed to fetch"))), "Can't reach the server.");
  assert.deepEqual(await answerOf(response(200, '{"rows": []}')), { rows: [] });
});
