// What some bytes are, told by the bytes alone and never by a name; as src/scandock/formats/kinds.py tells it.

import { latin1, u16, u32 } from "./blocks.js";
import { parseHeader } from "./tar_header.js";

const MAGIC = [
  [0, "7z\xbc\xaf\x27\x1c", "7z", "a 7z archive"],
  [0, "Rar!\x1a\x07", "rar", "a RAR archive"],
  [0, "RE\x7e\x5e", "rar", "a RAR archive"],
  [0, "MSCF\0\0\0\0", "cab", "a Windows cabinet"],
  [0, "LZIP", "lzip", "an lzip file"],
  [0, "\x1f\x9d", "compress", "a file of Unix compress (.Z)"],
  [0, "\x04\x22\x4d\x18", "lz4", "an LZ4 file"],
  [0, "!<arch>\n", "ar", "a Unix ar archive or Debian package"],
  [0, "IMGF", "ge-signa", "a GE Signa image from before DICOM"],
  [0, "# === DATA DESCRIPTION FILE", "parrec", "a Philips PAR/REC header"],
  [0, "# CLINICAL TRYOUT", "parrec", "a Philips PAR/REC header"],
  [32769, "CD001", "iso", "an image of a disc (ISO)"],
  [96, "SIEMENS", "siemens-ima", "a Siemens image from before DICOM"],
];
const DOCUMENT_FIRST = ["[Content_Types].xml", "_rels/", "mimetype", "META-INF/"];

export const STREAMS = new Set(["gzip", "bzip2", "xz", "zstd"]);
export const HEAD = 33 * 1024; // as much of a beginning as every test here can use

/** The kind of bytes that begin like `head`. */
export function kindOf(head) {
  if (head.length === 0) return "empty";
  if (latin1(head.subarray(128, 132)) === "DICM") return "dicom";
  const start = latin1(head.subarray(0, 10));
  if (start.startsWith("MATRIX7")) return "ecat";
  if (start.startsWith("PK")) return zipKind(head, start);
  if (start.startsWith("\x1f\x8b\x08") && head.length >= 10 && !(head[3] & 0xe0)) return "gzip";
  if (/^BZh[1-9](1AY&SY|\x17\x72\x45\x38\x50\x90)/.test(start)) return "bzip2";
  if (start.startsWith("\xfd7zXZ\0")) return "xz";
  if (start.startsWith("\x28\xb5\x2f\xfd") || /^[\x50-\x5f]\x2a\x4d\x18/.test(start)) return "zstd";
  if (head.length >= 512 && parseHeader(head.subarray(0, 512)) !== null) return "tar";
  const found = MAGIC.find(([at, magic]) => latin1(head.subarray(at, at + magic.length)) === magic);
  if (found) return found[2];
  const words = latin1(head.subarray(0, 256)).replace(/^\xef\xbb\xbf/, "").trimStart().toLowerCase();
  return /^<(!doctype html|html|head)/.test(words) ? "html" : "other";
}

/** What a kind is that is known but not taken, to follow "is" in a sentence; "" for all others. */
export function foreign(kind) {
  if (kind === "html") return "a web page";
  return MAGIC.find((row) => row[2] === kind)?.[3] ?? "";
}

function zipKind(head, start) {
  if (start.startsWith("PK\x03\x04")) {
    const name = latin1(head.subarray(30, 49));
    return DOCUMENT_FIRST.some((first) => name.startsWith(first)) ? "document" : "zip";
  }
  if (/^PK(\x05\x06|\x06\x06|\x01\x02)/.test(start)) return "zip";
  return /^PK(\x07\x08|00)PK\x03\x04/.test(start) ? "zip" : "other";
}

/** Whether an object begins as DICOM does, with a preamble or without one (src/scandock/formats/dicom_sniff.py). */
export function looksLikeDicom(head, size = Infinity) {
  if (latin1(head.subarray(128, 132)) === "DICM") return true;
  if (head.length < 16 || size < 16) return false;
  const little = [0x0002, 0x0008].includes(u16(head, 0));
  const big = head[0] === 0 && [0x02, 0x08].includes(head[1]);
  return (little || big) && plausible(head, big);
}

const MOST = 4096; // no first element of a data set is longer
const LONG = new Set(["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"]);
const SHORT = new Set("AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split(" "));

function plausible(head, big) {
  const n16 = (at) => (big ? (head[at] << 8) | head[at + 1] : u16(head, at));
  const n32 = (at) => (big ? n16(at) * 65536 + n16(at + 2) : u32(head, at));
  let [pos, before] = [0, -1];
  for (let step = 0; step < 2; step += 1) {
    if (pos + 12 > head.length) return before >= 0;
    const group = n16(pos);
    const number = group * 65536 + n16(pos + 2);
    const fits = before < 0 ? group === 2 || group === 8 : group >= 2 && group <= 0x28;
    if (number <= before || !fits) return false;
    const vr = latin1(head.subarray(pos + 4, pos + 6));
    const long = LONG.has(vr);
    const length = long ? n32(pos + 8) : SHORT.has(vr) ? n16(pos + 6) : n32(pos + 4);
    if (length > MOST) return before >= 0 && long;
    [before, pos] = [number, pos + (long ? 12 : 8) + length];
  }
  return true;
}

export { LONG, SHORT };
