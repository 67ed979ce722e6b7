// Which sessions the server has already, of those that an upload would make.

import { ask } from "../site.js";
import { UNASSIGNED } from "./labels.js";
import { named } from "./options.js";

const MANY = 2000;
const known = new Map();

const keyFor = (one) => JSON.stringify([one.project, one.label, one.study.uid ?? ""]);

/** {label, study}: sessions that are there, or undefined where the server was not asked yet. */
export function knownOf(one) {
  return known.get(keyFor(one));
}

export function forgetAnswers() {
  known.clear();
}

/** Ask of those decisions that were not asked of yet. */
export async function askKnown(decisions) {
  const every = decisions.filter((one) => one.project !== UNASSIGNED && !known.has(keyFor(one)));
  const fresh = [...new Map(every.filter((one) => named(one.project)).map((one) => [keyFor(one), one])).values()].slice(0, MANY);
  if (!fresh.length) return;
  const sessions = fresh.map((one) => ({ project: one.project, label: one.label, study_uid: one.study.uid ?? "" }));
  const headers = { "Content-Type": "application/json" };
  try {
    const answer = await ask("/api/v1/sessions/known", { method: "POST", headers, body: JSON.stringify({ sessions }) });
    if (!answer.ok) return;
    (await answer.json()).items.forEach((item, at) => known.set(keyFor(fresh[at]), item));
  } catch {
    return; // without the server only this is not said
  }
}
