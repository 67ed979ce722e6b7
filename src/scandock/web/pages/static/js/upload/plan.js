// What will happen to a study, in one sentence, by all that the page knows before a byte has left.

import { boundFor } from "./already.js";
import { notesOf } from "./notes.js";

/** [kind, sentence]: `kind` is "held", "there" (it joins what is there) or "". */
export function planOf(one) {
  if (one.leftOut) return ["", "Not included: it travels with the archive, and nothing of it is stored."];
  const as = `${one.project} as ${one.subject} / ${one.label}`;
  const notes = notesOf(one);
  if (notes.some(([kind, , soft]) => kind === "held" && !soft)) return ["held", `Will be held for review in ${as}`];
  const there = notes.find(([kind]) => kind === "there");
  if (there) return ["there", there[1]];
  const bound = boundFor(one);
  if (bound === "prearchive") return ["", `Will wait in the prearchive of ${as}`];
  return ["", bound === null ? `Will go to ${as}` : `Will be archived in ${as}`];
}
