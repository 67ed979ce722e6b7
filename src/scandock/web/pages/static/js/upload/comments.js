// Assignments in comments: `Project:ABC Subject:S01 Session:S01_MR1`; as src/scandock/rules/comments.py finds them.

import { mostCommon } from "./study.js";

const S = "[\\t-\\r ]"; // white space as Python has it in ASCII
const KEYWORDS = ["PatientComments", "StudyComments", "AdditionalPatientHistory"];

/** What `text` assigns to `name` (Project, Subject or Session), or "": at its very start, else the last one. */
export function assigned(name, text) {
  let last = "";
  const pattern = new RegExp(`(?:^|(?<=[\\t-\\r ,;]))${name}${S}*:${S}*([\\w-]*)(?=[\\t-\\r ,;]|$)`, "gi");
  for (const match of text.matchAll(pattern)) {
    if (match.index === 0 && match[1]) return match[1];
    last = match[1] || last;
  }
  return last;
}

/** [value, keyword] for each of the elements that has an assignment, in their order. */
export function candidates(name, study) {
  const found = [];
  for (const keyword of KEYWORDS) {
    const votes = new Map();
    for (const [text, count] of study.counts(keyword)) {
      const value = assigned(name, text);
      if (value) votes.set(value, (votes.get(value) ?? 0) + count);
    }
    if (votes.size) found.push([mostCommon(votes), keyword]);
  }
  return found;
}
