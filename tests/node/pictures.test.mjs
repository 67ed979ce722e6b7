import assert from "node:assert/strict";
import test from "node:test";
import { gzipSync } from "node:zlib";
import { bytes, concat, dataset, file, le, load, named, zip } from "./modules.mjs";

const { PictureMaker } = await load("picture_maker.js");
const { automaticWindow, pictureOf } = await load("picture.js");
const { preview } = await load("preview.js");
const { tarBlob } = await load("tar_blob.js");

const RLE = "1.2.840.10008.1.2.5";
const JPEG = "1.2.840.10008.1.2.4.50";

const shape = (rows, columns, { allocated = 8, samples = 1, photometric = "MONOCHROME2", windows = [] } = {}) => [
  [0x28, 0x02, "US", le(2, samples)], [0x28, 0x04, "CS", photometric], [0x28, 0x06, "US", le(2, 0)],
  [0x28, 0x10, "US", le(2, rows)], [0x28, 0x11, "US", le(2, columns)], [0x28, 0x100, "US", le(2, allocated)],
  [0x28, 0x101, "US", le(2, allocated)], [0x28, 0x102, "US", le(2, allocated - 1)], [0x28, 0x103, "US", le(2, 0)],
  ...windows,
];

/** An image of 4 x 4 pixels of one grey, by a window of 0 to 255; `pixels` instead of that. */
function image(grey, { sop = "1.1", series = "1.2.3.4", study = "1.2.3", pixels = new Uint8Array(16).fill(grey), syntax } = {}) {
  const windows = [[0x28, 0x1050, "DS", "128"], [0x28, 0x1051, "DS", "256"]];
  return file([...named({ study, series, sop, more: shape(4, 4, { windows }) }), [0x7fe0, 0x10, "OW", pixels]], { syntax });
}

const readerOf = (content) => async (length) => content.subarray(0, length);

const greyOf = ({ rgba }) => rgba[0];

/** Pictures of an archive, as the worker makes them: [study, grey]. */
async function made(source, budget) {
  const told = [];
  const maker = new PictureMaker((study, picture) => told.push([study, greyOf(picture)]), async () => null, budget);
  const looked = preview(source, () => {});
  await looked.ended;
  await maker.add(looked.pictureSources(), () => true);
  return told;
}

const SERIES = {
  "a/1.dcm": image(10, { sop: "1.1" }), "a/2.dcm": image(20, { sop: "1.2" }), "a/3.dcm": image(30, { sop: "1.3" }),
  "b/1.dcm": image(99, { sop: "2.1", series: "1.2.3.5" }),
};

test("the middle image of the largest series is read again from each kind of archive", async () => {
  const files = Object.entries(SERIES).map(([path, content]) => ({ path, file: new File([content], path) }));
  const tar = tarBlob(files).blob;
  const packed = new File([gzipSync(Buffer.from(await tar.arrayBuffer()))], "a.tar.gz");
  const inner = new Uint8Array(await zip(SERIES).arrayBuffer());
  const sources = {
    folder: { files }, zip: { file: zip(SERIES) }, stored: { file: zip(SERIES, { stored: true }) }, tar: { file: tar },
    "tar.gz": { file: packed }, "zip in a zip": { file: zip({ "in.zip": inner }) },
    "zip in a tar": { file: tarBlob([{ path: "in.zip", file: new File([inner], "in.zip") }]).blob },
    "tar.gz in a zip": { file: zip({ "in.tar.gz": new Uint8Array(await packed.arrayBuffer()) }) },
    "one object": { file: new File([SERIES["a/2.dcm"]], "2.dcm") },
  };
  for (const [name, source] of Object.entries(sources)) assert.deepEqual(await made(source), [["1.2.3", 20]], name);
});

test("a series that can't be shown gives way to the next one, and a study without any keeps its icon", async () => {
  const cut = { pixels: new Uint8Array(2) };
  const entries = {
    "a/1.dcm": image(0, { sop: "1.1", ...cut }), "a/2.dcm": image(0, { sop: "1.2", ...cut }),
    "d/1.dcm": image(55, { sop: "4.1", study: "9.8", series: "9.8.1" }), "d/2.dcm": image(0, { sop: "4.2", study: "9.8", series: "9.8.1", ...cut }),
    "b/1.dcm": image(77, { sop: "2.1", series: "1.2.3.5" }), "c/1.dcm": image(0, { sop: "3.1", study: "9.9", series: "9.9.1", ...cut }),
  };
  assert.deepEqual(await made({ file: zip(entries) }), [["1.2.3", 77], ["9.8", 55]]);
});

test("pictures end where their bytes, their time or the wish for them end", async () => {
  const studies = Object.fromEntries([1, 2, 3, 4].map((n) => [`${n}.dcm`, image(n, { study: `5.${n}`, series: `5.${n}.1`, sop: `5.${n}.1.1` })]));
  const whole = { file: zip(studies, { stored: true }) };
  const size = studies["1.dcm"].length;
  assert.equal((await made(whole)).length, 4);
  assert.equal((await made(whole, { bytes: 2 * 2 * size })).length, 2); // header and pixels are read, each from the front
  assert.deepEqual(await made(whole, { milliseconds: 0 }), []);

  const told = [];
  const maker = new PictureMaker((study) => (told.push(study), maker.stop()), async () => null);
  const look = async () => {
    const looked = preview(whole, () => {});
    await looked.ended;
    return looked.pictureSources();
  };
  const [first, second] = [await look(), await look()];
  await Promise.all([maker.add(first, () => true), maker.add(second, () => true)]);
  assert.equal(told.length, 1); // Upload stops those that wait, too
  await maker.add(await look(), () => true);
  assert.equal(told.length, 2); // what is chosen afterwards has its own
  await maker.add(await look(), () => false);
  assert.equal(told.length, 2);
});

/** Encapsulated pixel data of fragments, with an offset table of `offsets`. */
function encapsulated(fragments, offsets = []) {
  const item = (content) => concat(le(2, 0xfffe), le(2, 0xe000), le(4, content.length), content);
  const end = concat(le(2, 0xfffe), le(2, 0xe0dd), le(4, 0));
  const head = concat(le(2, 0x7fe0), le(2, 0x10), bytes("OB"), le(2, 0), le(4, 0xffffffff));
  return concat(head, item(concat(...offsets.map((one) => le(4, one)), new Uint8Array(0))), ...fragments.map(item), end);
}

const rleFrame = (...segments) => {
  const starts = segments.map((_, at) => 64 + segments.slice(0, at).reduce((sum, one) => sum + one.length, 0));
  return concat(le(4, segments.length), ...starts.map((at) => le(4, at)), new Uint8Array(4 * (15 - segments.length)), ...segments);
};

test("RLE of 16 bits and of colors, and the middle one of several frames", async () => {
  const runs = (...pairs) => Uint8Array.from(pairs.flatMap(([count, value]) => [257 - count, value]));
  const windows = [[0x28, 0x1050, "DS", "32768"], [0x28, 0x1051, "DS", "65536"]];
  const deep = [[0x28, 0x08, "IS", "2"], ...shape(2, 2, { allocated: 16, windows })].sort((one, other) => one[1] - other[1]);
  const frames = [rleFrame(runs([4, 0x10]), runs([4, 0])), rleFrame(runs([4, 0x80]), runs([4, 0]))];
  const content = concat(file([...named(), ...deep], { syntax: RLE }), encapsulated(frames, [0, 8 + frames[0].length]));
  const picture = await pictureOf(readerOf(content), null);
  assert.deepEqual([picture.number, picture.width, picture.height, greyOf(picture)], [1, 2, 2, 128]);
  const untold = concat(file([...named(), ...deep], { syntax: RLE }), encapsulated(frames));
  assert.equal(greyOf(await pictureOf(readerOf(untold), null)), 128);

  const colors = shape(2, 2, { samples: 3, photometric: "RGB" });
  const literal = (...values) => Uint8Array.from([values.length - 1, ...values]);
  const frame = rleFrame(literal(1, 2, 3, 4), runs([4, 50]), runs([2, 60], [2, 70]));
  const color = await pictureOf(readerOf(concat(file([...named(), ...colors], { syntax: RLE }), encapsulated([frame]))), null);
  assert.deepEqual([...color.rgba], [1, 50, 60, 255, 2, 50, 60, 255, 3, 50, 70, 255, 4, 50, 70, 255]);

  const damaged = rleFrame(runs([3, 0x10]), runs([4, 0]));
  const one = shape(2, 2, { allocated: 16, windows });
  assert.equal(await pictureOf(readerOf(concat(file([...named(), ...one], { syntax: RLE }), encapsulated([damaged]))), null), null);
});

test("a JPEG goes to the browser with the colors that the header says", async () => {
  const jpeg = Uint8Array.from([0xff, 0xd8, 0xff, 0xda, 1, 2, 3, 4]);
  const given = [];
  const decode = async (content) => {
    given.push(content);
    return { width: 2, height: 2, rgba: new Uint8ClampedArray(16).fill(200) };
  };
  const of = (how) => concat(file([...named(), ...shape(2, 2, how)], { syntax: JPEG }), encapsulated([jpeg]));
  const color = await pictureOf(readerOf(of({ samples: 3, photometric: "RGB" })), decode);
  assert.equal(greyOf(color), 200);
  await pictureOf(readerOf(of({ samples: 3, photometric: "YBR_FULL_422" })), decode);
  await pictureOf(readerOf(concat(file([...named(), ...shape(2, 2, { samples: 3, photometric: "RGB" })], { syntax: JPEG }), encapsulated([given[1]]))), decode);
  await pictureOf(readerOf(of({})), decode);
  assert.deepEqual([...given[0].subarray(0, 9)], [0xff, 0xd8, 0xff, 0xee, 0, 14, 0x41, 0x64, 0x6f]);
  assert.deepEqual(given.map((one) => one[17]), [0, 1, 0, undefined]);
  assert.deepEqual([given[1].length, given[2].length, given[3].length], [24, 24, 8]);
  assert.equal(await pictureOf(readerOf(of({})), async () => null), null);
  assert.equal(await pictureOf(readerOf(of({})), async () => ({ width: 3, height: 2, rgba: new Uint8ClampedArray(24) })), null);
});

test("the automatic window leaves padding and outermost values out", () => {
  const numbers = Uint16Array.from({ length: 1000 }, (_, at) => at);
  numbers[7] = 65535 - 1999; // -2000, which is padding
  const frame = { rows: 20, columns: 50, numbers, signed: true, slope: 2, intercept: -10, padding: [-2000, -2000] };
  const { center, width, function: kind } = automaticWindow(frame);
  assert.equal(kind, "linear_exact");
  assert.ok(Math.abs(center - 989) < 2 && Math.abs(width - 1978) < 4, `${center} ${width}`);
  const flat = automaticWindow({ ...frame, numbers: new Uint16Array(1000).fill(5), padding: null });
  assert.equal(flat.center, 0);
});

test("objects that are no images, are large beyond reason or are cut make no picture", async () => {
  const report = concat(file(named()));
  const large = file([...named({ more: shape(60000, 60000) }), [0x7fe0, 0x10, "OW", new Uint8Array(16)]]);
  const cut = image(1).subarray(0, 200);
  const bare = dataset([[8, 0x16, "UI", "1.2"], [0x28, 0x10, "US", le(2, 4)]]);
  for (const content of [report, large, cut, bare]) assert.equal(await pictureOf(readerOf(content), null), null);
});
