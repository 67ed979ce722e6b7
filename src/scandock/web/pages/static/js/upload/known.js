// Which sessions the server has already, of those that an upload would make.

import { KNOWN } from "../addresses.js";
import { ask } from "../site.js";
import { UNASSIGNED } from "./labels.js";
import { named } from "./options.js";

const MANY = 2000;
const VALUES = 9000; // a JSON body has at most 10,000
const LONGEST = 1024; // characters of a patient id
const FILES = 200; // ECAT files of one session that are asked about
const known = new Map();

const keyFor = (one) => JSON.stringify([one.project, one.label, one.subject, one.study.uid ?? one.study.key]);

/** {label, study, subjects, ecat}: what is there, or undefined where the server was not asked yet. */
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
  for (const some of inParts(fresh)) if (!(await askSome(some))) return;
}

async function askSome(some) {
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ sessions: some.map(asked) });
  try {
    const answer = await ask(KNOWN, { method: "POST", headers, body });
    if (answer.ok) (await answer.json()).items.forEach((item, at) => known.set(keyFor(some[at]), item));
    return answer.ok;
  } catch {
    return false; // without the server only this is not said
  }
}

function asked(one) {
  const { label, project, subject, study } = one;
  const ecat = study.ecat.filter((file) => file.hashed).map((file) => file.sha256).slice(0, FILES);
  return { project, label, study_uid: study.uid ?? "", subject, patient_id: one.naming.patients.commonId.slice(0, LONGEST), ecat };
}

/** The decisions in as many parts as the server's bound on values of a body needs. */
function* inParts(decisions) {
  let [part, values] = [[], 0];
  for (const one of decisions) {
    const own = 7 + Math.min(one.study.ecat.length, FILES);
    if (values + own > VALUES) {
      yield part;
      [part, values] = [[], 0];
    }
    part.push(one);
    values += own;
  }
  if (part.length) yield part;
}
