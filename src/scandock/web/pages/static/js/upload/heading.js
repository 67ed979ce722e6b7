// What stands above the uploads of a page: what they do, in few words.

import { plural } from "../live/figures.js";

const GOING = ["waiting", "running", "held up"];

/** The heading of some transfers: what goes, and what stands still; once nothing of these is left, what became of all. */
export function headingOf(transfers) {
  const count = (...states) => transfers.filter((one) => states.includes(one.state)).length;
  const open = told([["Uploading", count(...GOING)], ["Stopped", count("stopped")], ["Paused", count("paused")]]);
  return open || told([["Uploaded", count("done")], ["Cancelled", count("cancelled")]]);
}

/** "Uploading 2 archives, stopped 1": the first with its noun, those of none left out. */
function told(pairs) {
  const some = pairs.filter(([, count]) => count > 0);
  return some.map(([word, count], at) => (at ? `${word.toLowerCase()} ${count}` : `${word} ${plural(count, "archive")}`)).join(", ");
}
