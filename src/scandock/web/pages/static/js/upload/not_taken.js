// Why a file that was chosen is not taken, though it is an archive: it is another one than was asked for, or on its way.

import { plural } from "../live/figures.js";
import { shown } from "./names.js";

export const ELSEWHERE = "It is being uploaded already, from another browser or computer.";
export const ASKED = (name) => `Another tab has ${shown(name)}. Go on here?`;
export const ON_THE_LIST = "It is on the list already.";

/** In words, that `strange` ({name, files} each) are not the upload called `wanted`. */
export function notIt(wanted, strange) {
  const [one] = strange;
  const by = "To upload it as a new one, drop it on this page or choose it.";
  if (strange.length > 1) return `${plural(strange.length, "chosen file")} are not ${shown(wanted)}: they were not taken.`;
  const isNamedSo = [one.name, `${one.name}.tar`].includes(wanted);
  if (isNamedSo) return `${shown(one.name)} is not as it was when it was cut: it can't go on, and was not taken. ${by}`;
  return `${shown(one.name)} is not ${shown(wanted)}: it was not taken. ${by}`;
}
