// Which sessions will wait for a decision, of all that is on the list: labels that meet, and what else holds them.

import { plural } from "../live/figures.js";
import { knownOf } from "./known.js";
import { fold } from "./labels.js";
import { notesOf } from "./notes.js";
import { picks } from "./picks.js";
import { grouped } from "./settle.js";

/** {labels, others}: how many sessions wait because their label is another's too, and how many for other reasons. */
export function clashes() {
  const told = { labels: 0, others: 0 };
  const every = picks.filter((pick) => !pick.problem).flatMap((pick) => pick.taken);
  const free = [];
  for (const one of every) {
    if (hasLabelOfAnother(one)) told.labels += 1;
    else if (notesOf(one).some(([kind, , soft]) => kind === "held" && !soft)) told.others += 1;
    else if (one.naming.session.requested) free.push(one);
  }
  for (const group of grouped(free, (one) => `${fold(one.project)}/${fold(one.label)}`).values()) {
    const studies = new Set(group.map((one) => one.study.key));
    told.labels += studies.size - 1; // the first to arrive gets the label
  }
  return told;
}

function hasLabelOfAnother(one) {
  if (one.held.includes("label_many_studies")) return true;
  const label = knownOf(one)?.label;
  if (!label || !one.naming.session.requested) return false;
  if (label.assessor) return true;
  if (one.study.uid === null) return false;
  const stands = label.place === "archive" || label.state !== "conflict";
  return Boolean(label.study_uid) && label.study_uid !== one.study.uid && stands;
}

/** In words; "" where none will be held. */
export function clashWords({ labels, others }) {
  const told = [];
  if (labels === 1) told.push("1 session has the label of another and will be held for review");
  if (labels > 1) told.push(`${plural(labels, "session")} share a label and will be held for review`);
  if (others) told.push(`${plural(others, labels ? "other session" : "session")} will be held for review`);
  return told.length ? `${told.join(". ")}.` : "";
}
