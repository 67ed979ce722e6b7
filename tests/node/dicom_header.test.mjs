import assert from "node:assert/strict";
import test from "node:test";
import { deflateRawSync } from "node:zlib";
import { bytes, concat, dataset, file, load, named } from "./modules.mjs";

const { readHeader } = await load("dicom_header.js");
const { decode } = await load("dicom_text.js");
const { readEcat } = await load("ecat_header.js");

const told = async (data, how) => {
  const { kind, study, series, sop, values } = await readHeader(data, data.length, how);
  return { kind, study, series, sop, id: values?.PatientID, name: values?.PatientName, date: values?.StudyDate };
};
const WANTED = { kind: "dicom", study: "1.2.3", series: "1.2.3.4", sop: "1.2.3.4.5", id: "P1", name: "Doe^Jane", date: "20240229" };

test("explicit and implicit, little and big endian, with and without a preamble", async () => {
  assert.deepEqual(await told(file(named())), WANTED);
  assert.deepEqual(await told(file(named(), { syntax: "1.2.840.10008.1.2", explicit: false })), WANTED);
  assert.deepEqual(await told(file(named(), { syntax: "1.2.840.10008.1.2.2", big: true })), WANTED);
  assert.deepEqual(await told(dataset(named())), WANTED);
  assert.deepEqual(await told(dataset(named(), { explicit: false })), WANTED);
});

test("a deflated data set is inflated", async () => {
  const head = file([], { syntax: "1.2.840.10008.1.2.1.99" });
  assert.deepEqual(await told(concat(head, deflateRawSync(dataset(named())))), WANTED);
});

test("sequences of undefined length are passed over, nested ones too", async () => {
  const tag = (element, length = 0xffffffff) => {
    const view = new DataView(new ArrayBuffer(8));
    view.setUint16(0, 0xfffe, true);
    view.setUint16(2, element, true);
    view.setUint32(4, length, true);
    return new Uint8Array(view.buffer);
  };
  const open = (group, element) => {
    const head = dataset([[group, element, "SQ", new Uint8Array(0)]]);
    head.set([255, 255, 255, 255], 8);
    return head;
  };
  const inner = concat(open(8, 0x1199), tag(0xe000), dataset([[8, 0x1150, "UI", "1.9"]]), tag(0xe00d, 0), tag(0xe0dd, 0));
  const sequence = concat(open(8, 0x1115), tag(0xe000), inner, tag(0xe00d, 0), tag(0xe0dd, 0));
  const [before, behind] = [named().slice(0, 4), named().slice(4)];
  const data = concat(new Uint8Array(128), bytes("DICM"), dataset([[2, 0x10, "UI", "1.2.840.10008.1.2.1"]]), dataset(before), sequence, dataset(behind));
  assert.deepEqual(await told(data), WANTED);
});

test("more of an object is asked for where its header goes on, and comments behind large elements are found", async () => {
  const more = [[0x29, 0x1010, "OB", new Uint8Array(100_000)], [0x32, 0x4000, "LT", "Session:S9"]];
  const whole = file(named({ more }));
  const asked = [];
  const get = async (length) => {
    asked.push(length);
    return whole.subarray(0, length);
  };
  const shallow = await readHeader(whole.subarray(0, 1024), whole.length, { more: get });
  assert.deepEqual([shallow.values.StudyComments, asked], [undefined, []]);
  const deep = await readHeader(whole.subarray(0, 1024), whole.length, { more: get, deep: true });
  assert.equal(deep.values.StudyComments, "Session:S9");
});

test("what is no object that can be kept is told by its code", async () => {
  const without = (element) => file(named().filter((one) => one[1] !== element || one[0] === 8));
  const code = async (data) => (await readHeader(data, data.length)).code;
  assert.equal(await code(without(0xd)), "no_study_uid");
  assert.equal(await code(without(0xe)), "no_series_uid");
  const cut = file(named()).subarray(0, 250);
  assert.equal((await readHeader(cut, cut.length)).code, "header_truncated");
  assert.equal((await readHeader(bytes("just a text, and no image at all"), 32)).kind, "other");
  assert.equal((await readHeader(file([[8, 0x16, "UI", "1.2.840.10008.1.3.10"]]), 999)).kind, "dicomdir");
});

test("texts in their character sets, without controls and padding", () => {
  assert.equal(decode(bytes("M\xfcller^J\xf6rg \0"), bytes("ISO_IR 100")), "Müller^Jörg");
  assert.equal(decode(new TextEncoder().encode("Müller^Jörg"), bytes("ISO_IR 192")), "Müller^Jörg");
  assert.equal(decode(bytes("\xbb\xee\xda"), bytes("ISO_IR 144")), "Люк");
  assert.equal(decode(bytes("M\xfcller"), undefined), "M\ufffdller");
  const japanese = bytes("Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B");
  assert.equal(decode(japanese, bytes("\\ISO 2022 IR 87")), "Yamada^Tarou=山田^太郎");
  const korean = bytes("Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7");
  assert.equal(decode(korean, bytes("\\ISO 2022 IR 149")), "Hong^Gildong=洪^吉洞");
});

test("frames are counted where they stand at hand, or where an object is large", async () => {
  const frames = [0x28, 0x08, "IS", "24"];
  const count = async (elements, size, how) => (await readHeader(file(elements).subarray(0, 8192), size, how)).frames;
  assert.equal(await count([...named(), frames], 9000), 24);
  assert.equal(await count(named(), 9000), 1);
  assert.equal(await count([...named(), [0x28, 0x08, "IS", "-3"]], 9000), 1);
  const far = [...named(), [0x21, 0x1010, "OB", new Uint8Array(20_000)], frames];
  const more = async (length) => file(far).subarray(0, length);
  assert.equal(await count(far, 3_000_000, { more }), 24);
  assert.equal(await count(far, 100_000, { more }), 1);
});

test("an ECAT file's patient and time, in either byte order", () => {
  for (const little of [false, true]) {
    const raw = new Uint8Array(512);
    raw.set(bytes("MATRIX72v"), 0);
    const view = new DataView(raw.buffer);
    view.setInt16(46, 72, little);
    view.setInt16(50, 7, little);
    view.setUint32(62, 1_000_000_000, little);
    view.setUint16(354, 5, little);
    raw.set(bytes("PAT7"), 166);
    raw.set(bytes("Doe, Jane"), 182);
    raw.set(bytes("Brain"), 296);
    assert.deepEqual(readEcat(raw, 512), { kind: "ecat", patientId: "PAT7", patientName: "Doe, Jane", description: "Brain", started: 1_000_000_000, frames: 5 });
  }
  assert.equal(readEcat(bytes("MATRIX7"), 7).code, "ecat_truncated");
});
