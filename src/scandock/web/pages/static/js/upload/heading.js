// What uploads do, in few words: above the total of the list, and for those who listen.

import { plural } from "../live/figures.js";
import { TRANSFERS } from "../states.js";

const GOING = ["waiting", "running"];

/** What goes, and what stands still; once nothing of these is left, what became of all. */
export function headingOf(transfers) {
  const count = (...states) => transfers.filter((one) => states.includes(one.state)).length;
  const still = ["held up", "stopped", "paused", "elsewhere"].map((state) => [TRANSFERS[state].word, count(state)]);
  const isElsewhere = !count(...GOING, "held up", "stopped", "paused") && count("elsewhere") > 0;
  if (isElsewhere) return `${plural(count("elsewhere"), "archive goes", "archives go")} on elsewhere`;
  const open = told([["uploading", count(...GOING)], ...still]);
  return open || told([["uploaded", count("done")], ["cancelled", count("cancelled")]]);
}

/** "Uploading 2 archives, stopped 1": the first with its noun, those of none left out. */
function told(pairs) {
  const some = pairs.filter(([, count]) => count > 0);
  return some.map(([word, count], at) => (at ? `${word} ${count}` : `${word[0].toUpperCase()}${word.slice(1)} ${plural(count, "archive")}`)).join(", ");
}
