// The directory of a zip, read by slices (PKWARE APPNOTE 6.3.10): zip64, and zips that stand behind other bytes.

import { crc32 } from "./crc32.js";
import { u16, u32, u64 } from "./blocks.js";

const WINDOW = 22 + 65535;
const UTF8_FLAG = 0x0800;
const STRICT = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const LENIENT = new TextDecoder("utf-8", { ignoreBOM: true });
const CP437 = (
  "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐" +
  "└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0"
).split("");

/** The entries in the order of the directory, or null where the Blob is no zip.
 *
 * Each has name, method, packed, size, crc, encrypted, isFolder, isSpecial (a link or device) and `at`, the offset of its
 * local header.
 */
export async function zipDirectory(blob) {
  const end = await findEnd(blob);
  if (end === null) return null;
  const bytes = new Uint8Array(await blob.slice(end.at, end.at + end.size).arrayBuffer());
  const entries = [];
  let at = 0;
  while (at + 46 <= bytes.length && u32(bytes, at) === 0x02014b50) {
    const [name, extra, comment] = [u16(bytes, at + 28), u16(bytes, at + 30), u16(bytes, at + 32)];
    if (at + 46 + name + extra > bytes.length) break;
    entries.push(entryAt(bytes, at, name, extra, end.shift));
    at += 46 + name + extra + comment;
  }
  return entries;
}

function entryAt(bytes, at, nameLength, extraLength, shift) {
  const flags = u16(bytes, at + 8);
  const raw = bytes.subarray(at + 46, at + 46 + nameLength);
  const extra = bytes.subarray(at + 46 + nameLength, at + 46 + nameLength + extraLength);
  const sizes = [u32(bytes, at + 24), u32(bytes, at + 20), u32(bytes, at + 42)]; // plain, packed, where
  const long = field(extra, 0x0001);
  let next = 0;
  const [size, packed, local] = sizes.map((value) => {
    if (value !== 0xffffffff || long === null || next + 8 > long.length) return value;
    next += 8;
    return u64(long, next - 8);
  });
  const mode = u32(bytes, at + 38) >>> 16;
  const name = nameOf(raw, extra, flags);
  const kind = mode & 0xf000;
  return {
    name,
    method: u16(bytes, at + 10),
    packed,
    size,
    crc: u32(bytes, at + 16),
    encrypted: (flags & 1) !== 0,
    isFolder: name.endsWith("/") || (name.endsWith("\\") && size === 0),
    isSpecial: [0xa000, 0x1000, 0x2000, 0x6000, 0xc000].includes(kind),
    at: local + shift,
  };
}

/** Where the data of an entry begin; the local header is asked for the lengths of its own name and extra field. */
export function dataAt(entry, local) {
  if (local.length < 30 || u32(local, 0) !== 0x04034b50) return -1;
  return entry.at + 30 + u16(local, 26) + u16(local, 28);
}

function nameOf(raw, extra, flags) {
  const unicode = field(extra, 0x7075);
  if (unicode !== null && unicode.length > 5 && unicode[0] === 1 && u32(unicode, 1) === crc32(raw)) {
    const name = utf8(unicode.subarray(5));
    if (name !== null) return name;
  }
  const name = utf8(raw);
  if (name !== null) return name;
  if (flags & UTF8_FLAG) return LENIENT.decode(raw);
  return Array.from(raw, (byte) => (byte < 128 ? String.fromCharCode(byte) : CP437[byte - 128])).join("");
}

function utf8(bytes) {
  try {
    return STRICT.decode(bytes);
  } catch {
    return null;
  }
}

function field(extra, wanted) {
  for (let at = 0; at + 4 <= extra.length; at += 4 + u16(extra, at + 2)) {
    if (u16(extra, at) !== wanted) continue;
    const end = at + 4 + u16(extra, at + 2);
    return end <= extra.length ? extra.subarray(at + 4, end) : null;
  }
  return null;
}

async function findEnd(blob) {
  for (const window of [WINDOW, 1024 * 1024]) {
    const start = Math.max(0, blob.size - window);
    const tail = new Uint8Array(await blob.slice(start).arrayBuffer());
    for (let at = tail.length - 22; at >= 0; at -= 1) {
      if (tail[at] !== 0x50 || u32(tail, at) !== 0x06054b50) continue;
      const found = await judge(blob, start + at, tail.subarray(at, at + 22));
      if (found !== null) return found;
    }
    if (start === 0) break;
  }
  return null;
}

/** The directory that the end record at `at` tells of: as it says, moved by what was put before the zip, if anything. */
async function judge(blob, at, record) {
  let [total, size, offset] = [u16(record, 10), u32(record, 12), u32(record, 16)];
  let end = at;
  if (total === 0xffff || size === 0xffffffff || offset === 0xffffffff) {
    const long = await zip64(blob, at);
    if (long !== null) ({ total, size, offset, end } = long);
  }
  const behind = end - size; // where it stands if it ends where the records begin
  for (const where of [offset, behind]) {
    if (where < 0 || where > end) continue;
    const mark = new Uint8Array(await blob.slice(where, where + 4).arrayBuffer());
    if (total === 0 || (mark.length === 4 && u32(mark, 0) === 0x02014b50)) {
      return { at: where, size: Math.min(size, end - where), shift: where - offset };
    }
  }
  return null;
}

async function zip64(blob, at) {
  if (at < 20) return null;
  const locator = new Uint8Array(await blob.slice(at - 20, at).arrayBuffer());
  if (u32(locator, 0) !== 0x07064b50) return null;
  for (const where of [u64(locator, 8), at - 20 - 56]) {
    const record = new Uint8Array(await blob.slice(where, where + 56).arrayBuffer());
    if (record.length === 56 && u32(record, 0) === 0x06064b50) {
      return { total: u64(record, 32), size: u64(record, 40), offset: u64(record, 48), end: where };
    }
  }
  return null;
}
