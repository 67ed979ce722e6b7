// Where the pages' own modules are, and bytes for tests.
import { readFileSync } from "node:fs";
import { deflateRawSync } from "node:zlib";

const folder = new URL("../../src/scandock/web/pages/static/js/upload/", import.meta.url);

export const load = (name) => import(new URL(name, folder));

const { crc32 } = await load("crc32.js");

/** The table of letters, which a page has from the server. */
(await load("letters.js")).takeLetters(readFileSync(new URL("../../src/scandock/rules/letters.txt", import.meta.url), "utf8"));

export const bytes = (text) => Uint8Array.from(text, (char) => char.charCodeAt(0) & 0xff);

export const text = (array) => String.fromCharCode(...array);

export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** A DICOM data set, explicit or implicit, of [group, element, vr, value] in order; `big`: big endian. */
export function dataset(elements, { explicit = true, big = false } = {}) {
  const parts = [];
  for (const [group, element, vr, value] of elements) {
    const body = typeof value === "string" ? bytes(value.length % 2 ? value + (vr === "UI" ? "\0" : " ") : value) : value;
    const long = ["OB", "OW", "SQ", "UN", "UT"].includes(vr);
    const head = new DataView(new ArrayBuffer(explicit && long ? 12 : 8));
    head.setUint16(0, group, !big);
    head.setUint16(2, element, !big);
    if (!explicit) head.setUint32(4, body.length, !big);
    else {
      head.setUint8(4, vr.charCodeAt(0));
      head.setUint8(5, vr.charCodeAt(1));
      if (long) head.setUint32(8, body.length, !big);
      else head.setUint16(6, body.length, !big);
    }
    parts.push(new Uint8Array(head.buffer), body);
  }
  return concat(...parts);
}

/** A DICOM file: preamble, file meta information of a transfer syntax, a data set. */
export function file(elements, { syntax = "1.2.840.10008.1.2.1", ...how } = {}) {
  return concat(new Uint8Array(128), bytes("DICM"), dataset([[2, 0x10, "UI", syntax]]), dataset(elements, how));
}

/** The elements that every object has, for a patient. */
export function named({ study = "1.2.3", series = "1.2.3.4", sop = "1.2.3.4.5", id = "P1", name = "Doe^Jane", more = [] } = {}) {
  return [
    [8, 0x16, "UI", "1.2.840.10008.5.1.4.1.1.4"],
    [8, 0x18, "UI", sop],
    [8, 0x20, "DA", "20240229"],
    [8, 0x60, "CS", "MR"],
    [0x10, 0x10, "PN", name],
    [0x10, 0x20, "LO", id],
    [0x20, 0xd, "UI", study],
    [0x20, 0xe, "UI", series],
    ...more,
  ];
}

/** A little-endian number. */
export const le = (width, value) => {
  const view = new DataView(new ArrayBuffer(width));
  if (width === 2) view.setUint16(0, value, true);
  else if (width === 4) view.setUint32(0, value, true);
  else view.setBigUint64(0, BigInt(value), true);
  return new Uint8Array(view.buffer);
};

/** A zip of {name: content}; `before`: bytes put before it, `long`: with zip64 records everywhere. */
export function zip(entries, { before = new Uint8Array(0), long = false, stored = false } = {}) {
  const [parts, directory] = [[], []];
  let at = 0;
  for (const [name, content] of Object.entries(entries)) {
    const raw = new TextEncoder().encode(name);
    const crc = le(4, crc32(content));
    const packed = stored ? content : deflateRawSync(content);
    const method = le(2, stored ? 0 : 8);
    const extra = long ? concat(le(2, 1), le(2, 24), le(8, content.length), le(8, packed.length), le(8, at)) : new Uint8Array(0);
    const sizes = long ? concat(le(4, 0xffffffff), le(4, 0xffffffff)) : concat(le(4, packed.length), le(4, content.length));
    const local = concat(bytes("PK\x03\x04"), le(2, 20), le(2, 0), method, le(4, 0), crc, sizes, le(2, raw.length), le(2, 0), raw, packed);
    directory.push(
      concat(bytes("PK\x01\x02"), le(2, 20), le(2, 20), le(2, 0), method, le(4, 0), crc, sizes, le(2, raw.length), le(2, extra.length),
        le(2, 0), le(2, 0), le(2, 0), le(4, 0), le(4, long ? 0xffffffff : at), raw, extra),
    );
    parts.push(local);
    at += local.length;
  }
  const list = concat(...directory);
  const end64 = concat(bytes("PK\x06\x06"), le(8, 44), le(2, 45), le(2, 45), le(4, 0), le(4, 0), le(8, parts.length), le(8, parts.length),
    le(8, list.length), le(8, at));
  const locator = concat(bytes("PK\x06\x07"), le(4, 0), le(8, at + list.length), le(4, 1));
  const end = concat(bytes("PK\x05\x06"), le(4, 0), le(2, long ? 0xffff : parts.length), le(2, long ? 0xffff : parts.length),
    le(4, long ? 0xffffffff : list.length), le(4, long ? 0xffffffff : at), le(2, 0));
  return new File([before, ...parts, list, ...(long ? [end64, locator] : []), end], "a.zip");
}
