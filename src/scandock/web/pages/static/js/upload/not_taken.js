// Why a file that was chosen is not taken, though it is an archive: it is another one than was asked for, or on its way.

import { plural } from "../live/figures.js";
import { TRANSFERS } from "../states.js";
import { shown } from "./names.js";

export const ELSEWHERE = "It is being uploaded already, from another browser or computer.";
export const ON_THE_LIST = "It is on the list already.";

/** Where an upload goes that was begun before, whatever the settings say now. */
export const asBegun = (project) => `It goes on as it was begun: into ${project || "projects named by the headers"}.`;

/** Whether an upload goes elsewhere than the settings say: `settings` is the project that they name, "" for what the
 * headers name, or null where they name none that can be uploaded to. */
export const goesElsewhere = ({ project }, settings) => settings !== null && (project ?? "") !== settings;

/** What is asked before a file that was chosen goes on with an upload from before; `elsewhere`: its state in another tab. */
export function questionOf({ project, elsewhere }, settings) {
  const differs = goesElsewhere({ project }, settings);
  const told = elsewhere ? [`This archive is ${TRANSFERS[elsewhere].word} in another tab.`] : [];
  if (differs) told.push(asBegun(project), `The settings say ${settings || "projects named by the headers"}.`);
  else if (!elsewhere) told.push(asBegun(project));
  return [...told, "Go on here?"].join(" ");
}

/** In words, that `strange` ({name, files} each) are not the upload called `wanted`. */
export function notIt(wanted, strange) {
  const [one] = strange;
  const by = "To upload it as a new one, drop it on this page or choose it.";
  if (strange.length > 1) return `${plural(strange.length, "chosen file")} are not ${shown(wanted)}: they were not taken.`;
  const isNamedSo = [one.name, `${one.name}.tar`].includes(wanted);
  if (isNamedSo) return `${shown(one.name)} is not as it was when it was cut: it can't go on, and was not taken. ${by}`;
  return `${shown(one.name)} is not ${shown(wanted)}: it was not taken. ${by}`;
}
