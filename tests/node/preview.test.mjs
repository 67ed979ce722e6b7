import assert from "node:assert/strict";
import test from "node:test";
import { deflateRawSync, gzipSync } from "node:zlib";
import { bytes, concat, file, le, load, named, text, zip } from "./modules.mjs";

const { preview } = await load("preview.js");
const { settle } = await load("settle.js");
const { Study } = await load("study.js");
const { tarBlob } = await load("tar_blob.js");
const { zipDirectory } = await load("zip_directory.js");

const image = (n, more = {}) => file([...named({ sop: `1.2.3.4.${n}`, ...more }), [0x7fe0, 0x10, "OW", new Uint8Array(4000)]]);
const CONTENT = { "s/1.dcm": image(1), "s/2.dcm": image(2), "s/.DS_Store": bytes("x"), "s/notes.txt": bytes("y"), "s/bad.dcm": bytes("z") };
const COUNTS = { images: 2, resources: 1, ignored: 0, junk: 1, unparseable: 1, unsure: 0 };

async function found(source, options) {
  const told = [];
  await preview(source, (now) => told.push(now), options).ended;
  return { last: told.at(-1), told };
}

const labels = ({ studies }, request = {}) =>
  settle(studies.map((one) => new Study(one)), { mapping: [], ...request }, { isUsable: () => false }).map((one) => `${one.subject}/${one.label}`);

test("a zip of each make: deflated, stored, zip64, behind other bytes", async () => {
  for (const how of [{}, { stored: true }, { long: true }, { before: bytes("#!/bin/sh\nexit\n") }]) {
    const { last } = await found({ file: zip(CONTENT, how) });
    assert.deepEqual([last.counts, last.done, last.partial, last.total], [COUNTS, true, false, 5], JSON.stringify(how));
    assert.deepEqual(labels(last), ["Doe_Jane/P1"]);
  }
});

test("the directory is told before any entry is read", async () => {
  const { told } = await found({ file: zip(CONTENT) });
  assert.deepEqual([told[0].total, told[0].read, told[0].partial], [5, 0, true]);
});

test("tars, plain and gzipped, and a folder are the same", async () => {
  const files = Object.entries(CONTENT).map(([path, content]) => ({ path, file: new File([content], "x") }));
  const tar = new Uint8Array(await tarBlob(files).blob.arrayBuffer());
  for (const source of [{ files }, { file: new File([tar], "a.tar") }, { file: new File([gzipSync(tar)], "a.tgz") }]) {
    const { last } = await found(source);
    assert.deepEqual([last.counts, last.partial], [COUNTS, false]);
  }
});

test("archives within archives, and one without an image beside images is one file", async () => {
  const inner = new Uint8Array(await zip(CONTENT).arrayBuffer());
  const logs = new Uint8Array(await zip({ "a.log": bytes("a"), "b.log": bytes("b") }).arrayBuffer());
  const { last } = await found({ file: zip({ "p1.zip": inner, "logs.zip": logs, "x/3.dcm": image(3) }) });
  assert.deepEqual(last.counts, { ...COUNTS, images: 3, resources: 2 });
  const apart = await found({ file: zip({ "p1.zip": inner, "logs.zip": logs }) });
  assert.deepEqual(apart.last.counts, { ...COUNTS, ignored: 2 });
});

test("a single image, gzipped or not; what is no archive is told", async () => {
  assert.equal((await found({ file: new File([image(1)], "1.dcm") })).last.counts.images, 1);
  assert.equal((await found({ file: new File([gzipSync(image(1))], "1.dcm.gz") })).last.counts.images, 1);
  for (const [content, words] of [["7z\xbc\xaf\x27\x1c......", "7z"], ["<!DOCTYPE html><p>", "web page"], ["plain text", "neither"], ["", "empty"]]) {
    assert.match((await found({ file: new File([bytes(content)], "x") })).last.refused, new RegExp(words));
  }
});

test("over its budget it stops and says that its numbers are partial", async () => {
  const many = Object.fromEntries(Array.from({ length: 400 }, (_, n) => [`s/${n}.dcm`, image(n)]));
  const { last } = await found({ file: zip(many) }, { budget: 1 });
  assert.equal(last.partial, true);
  assert.ok(last.counts.images < 400, String(last.counts.images));
  assert.equal(last.total, 400);
});

test("a cut or damaged archive ends without an error", async () => {
  const whole = new Uint8Array(await zip(CONTENT).arrayBuffer());
  for (let length = 0; length < whole.length; length += 97) await found({ file: new File([whole.subarray(0, length)], "a.zip") });
  const files = Object.entries(CONTENT).map(([path, content]) => ({ path, file: new File([content], "x") }));
  const packed = gzipSync(new Uint8Array(await tarBlob(files).blob.arrayBuffer()));
  for (let length = 20; length < packed.length; length += 53) await found({ file: new File([packed.subarray(0, length)], "a.tgz") });
  for (let at = 0; at < whole.length; at += 41) {
    const changed = whole.slice();
    changed[at] ^= 0xff;
    await found({ file: new File([changed], "a.zip") });
  }
});

test("an entry whose data are damaged is told by its name, one that is odd but whole is not", async () => {
  const noise = Uint8Array.from({ length: 40_000 }, (_, n) => (n * n * 7919) >> 5);
  const noisy = (n) => file([...named({ sop: `1.2.3.4.${n}` }), [0x7fe0, 0x10, "OW", noise]]);
  const content = { "s/1.dcm": noisy(1), "s/2.dcm": noisy(2), "s/bad.dcm": bytes("no image"), "s/long.dcm": noise };
  for (const stored of [false, true]) {
    const whole = new Uint8Array(await zip(content, { stored }).arrayBuffer());
    assert.deepEqual((await found({ file: new File([whole], "a.zip") })).last.damaged, []);
    const hurt = async (name, from, length) => {
      const changed = whole.slice();
      const at = text(changed).indexOf(name) + name.length + from;
      for (let n = at; n < at + length; n += 1) changed[n] ^= 0x5a;
      return (await found({ file: new File([changed], "a.zip") })).last;
    };
    const last = await hurt("s/2.dcm", 100, 4000);
    assert.deepEqual([last.damaged, last.counts.images], [["s/2.dcm"], 1]);
    assert.deepEqual((await hurt("s/bad.dcm", 1, 3)).damaged, ["s/bad.dcm"], "a short one by its checksum");
    assert.deepEqual((await hurt("s/1.dcm", -24, 2)).damaged, [], "a checksum beside the data that nobody reads");
    assert.deepEqual((await hurt("s/1.dcm", -37, 2)).damaged, ["s/1.dcm"], "it is not where the directory says");
    const inner = await found({ file: zip({ "in.zip": new Uint8Array(await zip(content).arrayBuffer()).fill(90, 100, 4000) }) });
    assert.deepEqual(inner.last.damaged, [], "of an inner archive the others are stored");
  }
});

test("names in UTF-8 without the flag and in code page 437", async () => {
  const directory = await zipDirectory(zip({ "Größe/1.dcm": image(1) }));
  assert.equal(directory[0].name, "Größe/1.dcm");
  const raw = new Uint8Array(await zip({ "Gr??e": image(1) }).arrayBuffer());
  for (let at = 0; at < raw.length - 1; at += 1) if (raw[at] === 0x3f && raw[at + 1] === 0x3f) raw.set([0x94, 0xe1], at);
  assert.equal((await zipDirectory(new Blob([raw])))[0].name, "Größe");
});

test("two studies of one patient are told apart by date, requested labels are held", async () => {
  const two = { "a.dcm": image(1), "b.dcm": image(2, { study: "1.2.9", series: "1.2.9.1" }) };
  const { last } = await found({ file: zip(two) });
  assert.deepEqual(labels(last).map((label) => label.replace(/_[0-9a-f]{6}$/, "_?")), ["Doe_Jane/P1_?", "Doe_Jane/P1_?"]);
  const held = settle(last.studies.map((one) => new Study(one)), { mapping: [], session: "L" }, { isUsable: () => false });
  assert.deepEqual(held.map((one) => one.held), [["label_many_studies"], ["label_many_studies"]]);
});

test("an inner archive of more than 512 MB is left to the server, by its size alone", async () => {
  const inner = new Uint8Array(await zip(CONTENT).arrayBuffer());
  const whole = new Uint8Array(await zip({ "x/3.dcm": image(3), "x/inner.zip": inner }).arrayBuffer());
  const directory = text(whole).lastIndexOf("PK\x01\x02");
  new DataView(whole.buffer).setUint32(directory + 24, 513 * 1024 * 1024, true);
  const { last } = await found({ file: new File([whole], "a.zip") });
  assert.deepEqual([last.counts.images, last.counts.unsure], [1, 1]);
  assert.equal(last.named.unsure[0].why, "too large to look into here");
});

test("a stream is read until the upload begins, and its numbers are partial then", async () => {
  const files = Array.from({ length: 400 }, (_, n) => ({ path: `s/${n}.dcm`, file: new File([image(n)], "x") }));
  const packed = gzipSync(new Uint8Array(await tarBlob(files).blob.arrayBuffer()));
  const told = [];
  const one = preview({ file: new File([packed], "a.tgz") }, (now) => told.push(now));
  one.stop();
  await one.ended;
  const last = told.at(-1);
  assert.deepEqual([last.done, last.partial], [true, true]);
  assert.ok(last.read < 400, String(last.read));
});

test("a slow drive is sampled from end to end, within the budget", async (t) => {
  let clock = 0;
  t.mock.method(performance, "now", () => clock);
  const slow = (n) => {
    const made = new File([image(n)], `${n}.dcm`);
    const slice = made.slice.bind(made);
    made.slice = (...at) => {
      const piece = slice(...at);
      return { arrayBuffer: () => ((clock += 2), piece.arrayBuffer()) };
    };
    return { path: `s${Math.floor(n / 100)}/${n}.dcm`, file: made };
  };
  const files = Array.from({ length: 2000 }, (_, n) => slow(n));
  const { last } = await found({ files }, { budget: 800 });
  assert.deepEqual([last.done, last.partial, last.total], [true, true, 2000]);
  assert.ok(last.read > 84 && last.read < 1500, String(last.read));
  const folders = new Set(last.studies.flatMap((one) => one.folders));
  assert.equal(folders.size, 20, "the first of every folder is looked at before all others");
});
