import assert from "node:assert/strict";
import test from "node:test";
import { load } from "./modules.mjs";

globalThis.document ??= { querySelector: () => ({ dataset: { root: "/dock", static: "", csrf: "token", user: "olga" } }), addEventListener() {} };

const { placeOf, start } = await load("../script_editor.js");

test("the mark stands under what can't be read", () => {
  assert.equal(placeOf('version "6.6"\n(0010,0010) = x', 2, 13), "   2  (0010,0010) = x\n                  ^");
  assert.equal(placeOf("\tx y", 1, 3), "   1  \tx y\n      \t ^");
  const long = `${"a".repeat(100)}!${"b".repeat(100)}`;
  const [shown, mark] = placeOf(long, 1, 101).split("\n");
  assert.equal(shown.indexOf("!"), mark.indexOf("^"));
  assert.equal(placeOf("", 0, 0), "");
});

/** Elements of the page, as far as the editor knows them. */
function page({ value = "", dataset = {} } = {}) {
  const heard = {};
  const field = {
    value,
    dataset: { check: "/dock/api/v1/privacy/scripts/check" },
    invalid: false,
    addEventListener: (name, act) => (heard[name] = act),
    toggleAttribute: (_, is) => (field.invalid = is),
    setSelectionRange: (...range) => (field.selection = range),
    focus: () => (field.focused = true),
  };
  const [words, code] = [{ textContent: "" }, { textContent: "" }];
  const box = { hidden: true, dataset, querySelector: (name) => (name === "p" ? words : code) };
  const main = { querySelector: (name) => (name === "#text" ? field : box) };
  return { main, field, box, words, code, heard };
}

test("a script is read while it is written, and what was answered late is not shown", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const asked = [];
  globalThis.fetch = (path, options) => new Promise((resolve) => asked.push({ path, text: JSON.parse(options.body).text, answer: (json) => resolve({ ok: true, json: async () => json }) }));
  const { main, field, box, words, code, heard } = page();
  const end = start(main);
  const write = (text) => {
    field.value = text;
    heard.input();
    context.mock.timers.tick(500);
  };
  const settled = async () => { for (let turn = 0; turn < 5; turn += 1) await Promise.resolve(); };
  write("a");
  write("(0010,0010) = x");
  assert.deepEqual(asked.map(({ path, text }) => [path, text]), [["/dock/api/v1/privacy/scripts/check", "a"], ["/dock/api/v1/privacy/scripts/check", "(0010,0010) = x"]]);
  asked[1].answer({ ok: false, line: 1, column: 13, message: "= can't stand here.", remedy: "Here may stand :=." });
  await settled();
  asked[0].answer({ ok: true, line: 0, column: 0, message: "", remedy: "" });
  await settled();
  assert.deepEqual([box.hidden, field.invalid, words.textContent], [false, true, "= can't stand here. Here may stand :=."]);
  assert.match(code.textContent, /^ {3}1 {2}\(0010,0010\) = x\n/);
  write("fine");
  asked[2].answer({ ok: true, line: 0, column: 0, message: "", remedy: "" });
  await settled();
  assert.deepEqual([box.hidden, field.invalid], [true, false]);
  end();
});

test("the cursor stands where a script that was refused can't be read on", () => {
  const { main, field } = page({ value: "ab\ncdef", dataset: { line: "2", column: "3" } });
  start(main);
  assert.deepEqual([field.selection, field.focused], [[5, 5], true]);
});
