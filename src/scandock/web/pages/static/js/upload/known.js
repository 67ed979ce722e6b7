// Which sessions the server has already, of those that an upload would make, and which of their subjects.

import { KNOWN } from "../addresses.js";
import { ask } from "../site.js";
import { fold, UNASSIGNED } from "./labels.js";
import { named } from "./options.js";
import { withHalves } from "./settle.js";

const MANY = 2000;
const LARGEST = 700_000; // characters of a body, which has at most a million
const VALUES = 9000; // a JSON body has at most 10,000
const LONGEST = 1024; // characters of a patient id
const FILES = 200; // ECAT files of one session that are asked about
const FORMER = 4; // values of a body that ask for a subject of an earlier version
const DERIVED = 3; // and for those that the images name
const known = new Map();
const kept = new Map();
const derived = new Map();

/** As it was named before archives above it on the list were looked at, which change with every change. */
const subjectOf = (one) => one.settled ?? one.subject;
const keyFor = (one) => JSON.stringify([one.project, one.label, subjectOf(one), one.study.uid ?? one.study.key, one.side ?? "", ...imagesOf(one), ...patientOf(one), ...derivedOf(one)]);
const keptKey = (one) => JSON.stringify([one.project, one.study.uid === null, ...patientOf(one)]);

/** How many DICOM files a study has, and the sum of their UIDs, once all of its archive was read; else nothing. */
function imagesOf({ study, pick, isHalf }) {
  if (isHalf) return []; // what is there has one side, and the page counts the whole study
  const isRead = pick?.state === "done" && !pick.found.partial && pick.found.counts.unsure === 0;
  return isRead && study.images && study.uid !== null ? [study.images, study.imagesSum] : [];
}

/** By what the server knows whether a subject of an earlier version is this patient. */
const patientOf = (one) => (one.former ? [one.naming.patients.commonId, one.former.labels, one.former.name] : []);

/** By what the server knows whose the subjects are that its images name. */
const derivedOf = (one) => (one.derived && one.naming.patients.commonId ? [one.naming.patients.commonId, one.derived.bare, one.derived.apart] : []);
const derivedKey = (one) => JSON.stringify([one.project, one.study.uid === null, ...derivedOf(one)]);

/** {label, study, subjects, ecat, same_images, shared_images}: what is there, or undefined where the server was not asked yet. */
export function knownOf(one) {
  return known.get(keyFor(one));
}

/** The subject of an earlier version that a decision's patient has, as far as the server was asked; "" for none. */
export function keptSubject(one) {
  return kept.get(keptKey(one)) ?? "";
}

/** {label, own} of a subject that the images of a decision name, where the server has it as the patient's (`own`) or
 * another's, as far as it was asked; else null. */
export function knownSubject(one, label) {
  const { own = [], taken = [] } = derived.get(derivedKey(one)) ?? {};
  const among = (some) => some.find((other) => fold(other) === fold(label));
  const is = among(own) ?? among(taken);
  return is === undefined ? null : { label: is, own: among(own) !== undefined };
}

export function forgetAnswers() {
  known.clear();
}

/** Ask of those decisions that were not asked of yet; gives whether studies are to be named by what came of it. */
export async function askKnown(decisions) {
  const every = decisions.flatMap(withHalves).filter((one) => !known.has(keyFor(one)));
  const isKnown = (project) => project === UNASSIGNED || named(project);
  const fresh = [...new Map(every.filter((one) => isKnown(one.project)).map((one) => [keyFor(one), one])).values()].slice(0, MANY);
  const before = fresh.map(namedBy);
  for (const some of inParts(fresh)) if (!(await askSome(some))) break;
  return fresh.some((one, at) => namedBy(one) !== before[at]);
}

/** What of the answers names a decision's subject. */
const namedBy = (one) => JSON.stringify([keptSubject(one), derived.get(derivedKey(one)) ?? {}]);

async function askSome(some) {
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ sessions: some.map(asked) });
  try {
    const answer = await ask(KNOWN, { method: "POST", headers, body });
    if (answer.ok) (await answer.json()).items.forEach((item, at) => remember(some[at], item));
    return answer.ok;
  } catch {
    return false; // without the server only this is not said
  }
}

function remember(one, item) {
  known.set(keyFor(one), item);
  if (one.former) kept.set(keptKey(one), item.kept ?? "");
  if (derivedOf(one).length) derived.set(derivedKey(one), { own: item.own, taken: item.taken });
}

function asked(one) {
  const { former, label, project, study } = one;
  const ecat = study.ecat.filter((file) => file.hashed).map((file) => file.sha256).slice(0, FILES);
  const [images = 0, sum = 0] = imagesOf(one);
  const told = { project, label, side: one.side ?? "", study_uid: study.uid ?? "", subject: subjectOf(one), patient_id: one.naming.patients.commonId.slice(0, LONGEST), ecat, images, images_sum: sum };
  if (images && study.imageCrcs) told.image_crcs = Array.from(study.imageCrcs, (crc) => crc.toString(16).padStart(8, "0")).join("");
  if (derivedOf(one).length) told.derived_subjects = [one.derived.bare, one.derived.apart];
  if (!former) return told;
  return { ...told, former_subjects: former.labels, patient_name: former.name.length > LONGEST ? "" : former.name };
}

/** The decisions in as many parts as the server's bound on values of a body needs. */
function* inParts(decisions) {
  let [part, values, characters] = [[], 0, 0];
  for (const one of decisions) {
    const crcs = 8 * (one.study.imageCrcs?.length ?? 0);
    const own = 10 + Math.min(one.study.ecat.length, FILES) + (one.former ? FORMER : 0) + (one.derived ? DERIVED : 0);
    if (values + own > VALUES || (part.length && characters + crcs > LARGEST)) {
      yield part;
      [part, values, characters] = [[], 0, 0];
    }
    part.push(one);
    values += own;
    characters += crcs;
  }
  if (part.length) yield part;
}
