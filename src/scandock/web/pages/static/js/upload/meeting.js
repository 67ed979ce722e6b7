// What is told where studies of several archives meet under one label.

import { shown } from "./names.js";

// By what the labels of all that meet come from, so that each side is told the same (docs/rules.md, two studies on one
// label): one that somebody named waits where another has come before it, one out of headers gives way to what is there.
const MEETING = {
  named: ["held", "all but the first to arrive will be held for review.", true],
  derived: ["warn", "the later one gets a suffix."],
  both: ["warn", "the first to arrive gets it. Of the later ones, those that were named here are held for review, and those that are named by their headers get a suffix."],
};

/** The note of one of them, as `notesOf` gives it: the same on each side. */
export function meeting(one) {
  const [kind, words, soft = false] = MEETING[one.meeting];
  return [kind, `${shown(one.meets)} brings another study with this label: ${words}`, soft, `meets_${one.meeting}`];
}
