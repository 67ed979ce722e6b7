// Names out of archives and headers, fit to stand in a line or a sentence; as src/scandock/formats/display_names.py has them.

const UNPRINTED = /[\p{C}\p{Z}]/gu;
const TO_THE_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const [ISOLATE, END] = ["\u2068", "\u2069"]; // FSI and PDI: as <bdi>, for text that is no element of its own

/** A name with what does not print as escapes, text-direction marks among it, and so that its own direction, where it
 * is written to the left, leaves what stands around it alone. */
export function shown(name) {
  const visible = name.replace(UNPRINTED, (char) => (char === " " ? char : escaped(char.codePointAt(0))));
  return TO_THE_LEFT.test(visible) ? ISOLATE + visible + END : visible;
}

function escaped(code) {
  const digits = code.toString(16);
  if (code <= 0xff) return `\\x${digits.padStart(2, "0")}`;
  return code <= 0xffff ? `\\u${digits.padStart(4, "0")}` : `\\U${digits.padStart(8, "0")}`;
}

/** A person name (PS3.5 6.2.1.1) as people write it. */
export function person(name) {
  return shown(name.replace(/[\^=]+/g, " ").trim());
}
