// What is said aloud of uploads and imports: one summary a minute, not a sentence for each.

import { say } from "../site.js";
import { IMPORTS, TRANSFERS } from "../states.js";
import { plural } from "./figures.js";

const EVERY = 60_000;

/** Gives `summarize(words, isOver)`: `words()` is said at once where nothing was said for a minute or all is over, else
 * when the minute is. `tell` says a sentence, "" is none; `later` and `now` are the clock's. */
export function summaries(tell = say, later = setTimeout, now = () => performance.now()) {
  let last = -Infinity;
  let timer = null;
  let newest = null;
  const speak = () => {
    clearTimeout(timer);
    timer = null;
    const words = newest();
    if (!words) return;
    last = now();
    tell(words);
  };
  return (words, isOver = false) => {
    newest = words;
    const wait = last + EVERY - now();
    if (isOver || wait <= 0) speak();
    else timer ??= later(speak, wait);
  };
}

/** What uploads of this tab do, and what came of imports that have ended: "2 of 10 archives uploaded, 1 retrying. a.zip is
 * imported."; "" for nothing. */
export function summaryOf(transfers, ended) {
  const told = [];
  const some = transfers.filter((one) => one.state !== "cancelled");
  const count = (state) => some.filter((one) => one.state === state).length;
  const open = some.some((one) => one.state !== "done");
  if (open) {
    const still = ["held up", "stopped", "paused"].filter((state) => count(state) > 0);
    const words = still.map((state) => `${count(state)} ${TRANSFERS[state].word}`);
    told.push([`${count("done")} of ${plural(some.length, "archive")} uploaded`, ...words].join(", "));
  }
  if (ended.length === 1) told.push(`${ended[0].archive} ${IMPORTS[ended[0].state].says}`);
  else {
    for (const state of new Set(ended.map((one) => one.state))) {
      const n = ended.filter((one) => one.state === state).length;
      told.push(`${plural(n, "archive")} ${IMPORTS[state].word}`);
    }
  }
  return told.length ? `${told.join(". ")}.` : "";
}
