// The rows of an archive: its studies as they will be stored, and once its import has ended what became of each.

import { compare, fold } from "./labels.js";
import { hidesStudy } from "./privacy.js";

const orders = new WeakMap(); // by transfer: the positions of its sessions without a study, in the order of their rows

/** [{key, one, outcome}] of an archive: `one` is the decision of a study that was found in it, or null, `outcome` what
 * the server says of its session, or null. Sessions that no study was found for have rows of their own, and so have the
 * two of a study that was separated. Where study UIDs are hidden, the one study that is left is that of the one session. */
export function rowsOf({ decisions, transfer }) {
  const left = [...(transfer?.import?.sessions ?? [])];
  const take = (fits) => {
    const at = left.findIndex(fits);
    return at < 0 ? null : left.splice(at, 1)[0];
  };
  const byUid = new Map(left.filter((one) => one.study_uid).map((one) => [one.study_uid, one]));
  const whole = decisions.filter(({ halves, study }) => !halves || left.filter((one) => one.study_uid === study.uid).length < 2);
  const rows = whole.map((one) => {
    const known = byUid.get(one.study.uid);
    return { key: one.study.key, one, outcome: known === undefined ? null : take((two) => two === known) };
  });
  for (const row of rows.filter(({ one, outcome }) => outcome === null && one.study.uid === null)) {
    row.outcome = take(({ then, study_uid: uid }) => !uid && fold(then.label ?? "") === fold(row.one.label));
  }
  const open = rows.filter(({ outcome }) => outcome === null);
  if (open.length === 1 && left.length === 1 && hidesStudy(open[0].one)) open[0].outcome = left.pop();
  return [...rows, ...inOrder(left, transfer).map((outcome) => ({ key: `session ${outcome.position}`, one: null, outcome }))];
}

/** By patient, and then as they were: of a session out of sight nobody is told whose it is. */
function inOrder(sessions, transfer) {
  if (!sessions.length) return sessions;
  const before = orders.get(transfer) ?? [];
  const isKnown = before.length === sessions.length && sessions.every(({ position }) => before.includes(position));
  const sorted = sessions.sort(isKnown ? (one, other) => before.indexOf(one.position) - before.indexOf(other.position) : byPatient);
  orders.set(transfer, sorted.map(({ position }) => position));
  return sorted;
}

const natural = new Intl.Collator(undefined, { numeric: true }).compare;
const patientOf = ({ study }) => study?.patient_id || study?.patient_name || "";

/** The order in which studies of an archive stand before an upload: by patient, then date. */
const byPatient = (one, other) =>
  natural(patientOf(one), patientOf(other)) || compare(one.study?.date ?? "", other.study?.date ?? "") || one.position - other.position;
