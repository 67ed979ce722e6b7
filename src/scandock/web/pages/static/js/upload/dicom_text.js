// Raw values of DICOM elements as text (PS3.3 C.12.1.1.2), as src/scandock/formats/dicom_text.py reads them.

import { latin1 } from "./blocks.js";

const LABELS = {
  "ISO IR 101": "iso-8859-2",
  "ISO IR 109": "iso-8859-3",
  "ISO IR 110": "iso-8859-4",
  "ISO IR 126": "iso-8859-7",
  "ISO IR 127": "iso-8859-6",
  "ISO IR 138": "iso-8859-8",
  "ISO IR 144": "iso-8859-5",
  "ISO IR 148": "iso-8859-9",
  "ISO IR 166": "iso-8859-11",
  "ISO IR 203": "iso-8859-15",
  "ISO IR 13": "shift_jis",
  "ISO IR 192": "utf-8",
  GB18030: "gb18030",
  GBK: "gbk",
  "UTF 8": "utf-8",
  UTF8: "utf-8",
};
const LATIN1 = new Set(["ISO IR 100", "ISO 8859 1", "ISO8859 1", "LATIN1"]);
const SINGLE = /^iso-8859/;
const ESCAPES = {
  "(B": ascii,
  "(J": (bytes) => coded("shift_jis", bytes),
  ")I": (bytes) => coded("shift_jis", bytes),
  "-A": latin,
  "-B": (bytes) => coded("iso-8859-2", bytes),
  "-C": (bytes) => coded("iso-8859-3", bytes),
  "-D": (bytes) => coded("iso-8859-4", bytes),
  "-F": (bytes) => coded("iso-8859-7", bytes),
  "-G": (bytes) => coded("iso-8859-6", bytes),
  "-H": (bytes) => coded("iso-8859-8", bytes),
  "-L": (bytes) => coded("iso-8859-5", bytes),
  "-M": (bytes) => coded("iso-8859-9", bytes),
  "-T": (bytes) => coded("iso-8859-11", bytes),
  "$B": (bytes) => coded("euc-jp", high(bytes)),
  "$)C": (bytes) => coded("euc-kr", bytes),
  "$)A": (bytes) => coded("gbk", bytes),
};
const CONTROLS = /[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]/gu;
const CONTROLS_BUT_BREAKS = /[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]/gu;
const SPACE = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+";
const ENDS = new RegExp(`^${SPACE}|${SPACE}$`, "g");
const TAIL = new RegExp(`${SPACE}$`);

/** A text without the white space (as Python has it) at its ends. */
export const strip = (text) => text.replace(ENDS, "");

/** The text of a value; `charsets` is the raw SpecificCharacterSet or undefined. `coded`: its VR uses that. */
export function decode(raw, charsets, { inCharset = true, long = false } = {}) {
  const text = inCharset ? decoded(raw, charsets) : ascii(raw);
  if (long) return text.replace(CONTROLS_BUT_BREAKS, "").replace(TAIL, "");
  const clean = text.replace(CONTROLS, "");
  return clean.includes("\\") ? clean.split("\\").map(strip).join("\\") : strip(clean);
}

/** A UID's text without padding. */
export function uid(raw) {
  if (raw === undefined) return "";
  const text = latin1(raw).replace(/^[\0 \t\r\n]+|[\0 \t\r\n]+$/g, "");
  return text.replace(/[\x00-\x1f\x7f-\xa0\xad]/g, "\ufffd");
}

function decoded(raw, charsets) {
  const names = charsets === undefined ? "" : latin1(charsets);
  if (raw.includes(0x1b) && names.includes("2022")) return extended(raw, names);
  return byName(names)(raw);
}

function byName(names) {
  let name = names.split("\\")[0].replace(/^[\0 ]+|[\0 ]+$/g, "").toUpperCase().replace(/[ _-]+/g, " ");
  if (name.startsWith("ISO 2022 IR")) name = "ISO IR" + name.slice("ISO 2022 IR".length);
  if (LATIN1.has(name)) return latin;
  const label = LABELS[name];
  return label === undefined ? ascii : (bytes) => coded(label, bytes);
}

/** Text with code extensions (ISO 2022, PS3.5 6.1.2.4): pieces between escapes, each by its own; `^` and `=` set back. */
function extended(raw, names) {
  const first = byName(names);
  const pieces = latin1(raw).split("\x1b");
  const bytes = (text) => Uint8Array.from(text, (char) => char.charCodeAt(0));
  let said = first(bytes(pieces[0]));
  for (const piece of pieces.slice(1)) {
    const escape = Object.keys(ESCAPES).find((one) => piece.startsWith(one));
    if (escape === undefined) {
      said += first(bytes(piece));
      continue;
    }
    const body = piece.slice(escape.length);
    const end = escape === "$B" ? -1 : body.search(/[\^=\\]/);
    const own = end < 0 ? body : body.slice(0, end);
    said += ESCAPES[escape](bytes(own)) + (end < 0 ? "" : first(bytes(body.slice(end))));
  }
  return said;
}

function ascii(bytes) {
  return latin1(bytes).replace(/[\x80-\xff]/g, "\ufffd");
}

function latin(bytes) {
  return latin1(bytes);
}

function high(bytes) {
  return bytes.map((byte) => (byte > 0x20 ? byte | 0x80 : byte));
}

/** By a label of the Encoding standard, whose Latin sets have signs where the DICOM ones have controls: left out. */
function coded(label, bytes) {
  const kept = SINGLE.test(label) ? bytes.filter((byte) => byte < 0x80 || byte > 0x9f) : bytes;
  const text = new TextDecoder(label, { ignoreBOM: true }).decode(kept);
  return label === "iso-8859-11" ? text.replace(/[\uf8c1-\uf8c8]/g, "\ufffd") : text; // ICU has signs of its own there
}
