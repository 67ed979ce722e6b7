// One 512-byte header of a tar, and the pax records before it (POSIX.1-2017, pax; GNU tar manual, "Basic Tar Format").

import { latin1 } from "./blocks.js";

export const BLOCK = 512;
const LARGEST = 2 ** 53;
const STRICT = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** {name (bytes), size, flag} of a header; null where these bytes are none. */
export function parseHeader(block) {
  if (block.length < BLOCK || block.every((byte) => byte === 0)) return null;
  const claimed = number(block.subarray(148, 156));
  let sum = 0;
  let high = 0;
  for (let at = 0; at < BLOCK; at += 1) {
    const byte = at >= 148 && at < 156 ? 0x20 : block[at];
    sum += byte;
    if (byte > 127) high += 1;
  }
  if (claimed !== sum && claimed !== sum - 256 * high) return null;
  const size = number(block.subarray(124, 136));
  if (size < 0) return null;
  let name = upToNul(block.subarray(0, 100));
  const prefix = upToNul(block.subarray(345, 500));
  if (latin1(block.subarray(257, 263)) === "ustar\0" && prefix.length) {
    const whole = new Uint8Array(prefix.length + 1 + name.length);
    whole.set(prefix);
    whole[prefix.length] = 0x2f;
    whole.set(name, prefix.length + 1);
    name = whole;
  }
  return { name, size, flag: String.fromCharCode(block[156]) };
}

/** The name and size of a member, once the records before it are laid over its header. */
export function laidOver(header, pax, longName) {
  const path = pax.get("path") ?? longName;
  const size = pax.has("size") ? Number(pax.get("size")) : header.size;
  return { name: typeof path === "string" ? path : text(path ?? header.name), size, flag: header.flag };
}

/** Keys and values of a pax header; what is malformed ends it. */
export function paxRecords(bytes) {
  const records = new Map();
  let at = 0;
  while (at < bytes.length && bytes[at] !== 0) {
    const space = bytes.indexOf(0x20, at);
    const length = Number(latin1(bytes.subarray(at, space)));
    if (space < 0 || !Number.isInteger(length) || length <= 0 || at + length > bytes.length) break;
    const body = bytes.subarray(space + 1, at + length - 1);
    const equals = body.indexOf(0x3d);
    if (equals < 0) break;
    records.set(text(body.subarray(0, equals)), text(body.subarray(equals + 1)));
    at += length;
  }
  return records;
}

/** A member's name as text: UTF-8 where it is valid, else Latin-1. */
export function text(bytes) {
  try {
    return STRICT.decode(bytes);
  } catch {
    return latin1(bytes);
  }
}

export function upToNul(bytes) {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

/** An octal or base-256 number; -1 where it is none. */
function number(field) {
  if (field[0] & 0x80) {
    if (field[0] & 0x40) return -1;
    const value = field.reduce((sum, byte, at) => sum * 256 + (at ? byte : byte & 0x7f), 0);
    return value < LARGEST ? value : -1;
  }
  const digits = latin1(upToNul(field)).trim();
  if (digits === "") return 0;
  return /^[0-7]+$/.test(digits) ? parseInt(digits, 8) : -1;
}
