// Labels: what a text becomes before it may name a subject or a session; as src/scandock/rules/labels.py has it.

import { transliterate } from "./letters.js";
import { sha256 } from "./sha256.js";

const MAX_LABEL = 64;
export const UNASSIGNED = "Unassigned";
/** The form of the server's own ids: a label of it would be taken for the id of another session or subject. */
export const OWN_ID = /^XNAT_[ES]\d{5,18}$/i;
const PLACEHOLDERS = ["anonymous", "anonymized", "anon", "unknown", "none"];
const BLANKS = " \\t\\r\\n\\0\\v\\f";
const OUTER = new RegExp(`^[${BLANKS}]+|[${BLANKS}]+$`, "g");
/** Bytes that the character set does not have, and a letter right behind: as a rule the second byte of a character. */
const SPOILT = /\ufffd+[A-Za-z0-9]?/g;
const PADDING = new RegExp(`^[${BLANKS}^=]+|[${BLANKS}^=]+$`, "g");

/** The label that `text` gives, or "" where no letter or digit is left. */
export function clean(text) {
  const whole = text.replace(OUTER, "");
  const label = whole.replace(/[^A-Za-z0-9_-]/gu, "_");
  if (!/[A-Za-z0-9]/.test(label)) return "";
  return label.length <= MAX_LABEL ? label : fit(label, "_" + textHash(whole, 8));
}

/** `label` with `suffix`, the label cut where both together are longer than 64. */
export function fit(label, suffix) {
  return label.slice(0, MAX_LABEL - suffix.length) + suffix;
}

/** A text without case, as Python's casefold has it. */
export function fold(text) {
  const folded = (part) => part.toUpperCase().toLowerCase().replaceAll("ς", "σ");
  return text.split("ı").map(folded).join("ı");
}

export function isProjectId(text) {
  return /^[A-Za-z0-9_-]{1,64}$/.test(text) && fold(text) !== fold(UNASSIGNED);
}

/** Whether a patient's name or id says nothing: empty, of `*` alone, or one of `placeholders`, in any case. */
export function isPlaceholder(text, placeholders = PLACEHOLDERS) {
  const bare = text.replace(PADDING, "");
  if (!bare.replaceAll("*", "").replace(PADDING, "")) return true;
  return placeholders.some((name) => fold(name.replace(PADDING, "")) === fold(bare));
}

/** Label of a person name, or "" where the name counts as absent: its first component group that leaves something.
 *
 * Latin, Greek and Cyrillic letters are spelled in ASCII; a group with letters of others leaves nothing. */
export function person(name, placeholders = PLACEHOLDERS) {
  for (const group of name.split("=")) {
    if (isPlaceholder(group, placeholders)) continue;
    const label = clean(transliterate(group.replace(PADDING, "")) ?? "");
    if (label) return label;
  }
  return "";
}

/** Label of a person name as XNAT makes it, and this server did before: what is not ASCII becomes `_`. */
export function plainPerson(name, placeholders = PLACEHOLDERS) {
  for (const group of name.split("=")) {
    if (isPlaceholder(group, placeholders) || !/[A-Za-z0-9]/.test(group.replace(SPOILT, ""))) continue;
    const label = clean(group.replace(PADDING, ""));
    if (label) return label;
  }
  return "";
}

/** The name as it is compared: without case, padding and empty components. */
export function nameKey(name) {
  return fold(name.replace(/[\0\t\r\n]/g, " ").replace(/^[ ^=]+|[ ^=]+$/g, ""));
}

export function textHash(text, digits) {
  return sha256(text).slice(0, digits);
}

/** For sorting in code-point order, as Python sorts: JavaScript's own goes by UTF-16 units. */
export function compare(one, other) {
  if (one === other) return 0;
  const [mine, theirs] = [Array.from(one), Array.from(other)];
  for (let at = 0; at < Math.min(mine.length, theirs.length); at += 1) {
    const difference = mine[at].codePointAt(0) - theirs[at].codePointAt(0);
    if (difference) return difference;
  }
  return mine.length - theirs.length;
}
