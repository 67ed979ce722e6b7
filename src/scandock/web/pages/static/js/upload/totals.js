// What all archives of the list come to: before an upload, on the way, and at the end.

import { Pace, plural, size } from "../live/figures.js";
import { isEnded, SESSIONS, sessionState } from "../states.js";
import { UNASSIGNED } from "./labels.js";
import { named, options, problem, project } from "./options.js";

/** "10 archives · 10 sessions · 8.9 MB → LUNG" of those that can be sent. */
export function readyWords(ready) {
  if (!ready.length) return "";
  const sessions = ready.flatMap((pick) => pick.taken).reduce((sum, { forecast }) => sum + (forecast?.parts?.length ?? 1), 0);
  const bytes = ready.reduce((sum, pick) => sum + pick.size, 0);
  const to = problem() ? "" : destinationOf(ready.flatMap((pick) => pick.taken));
  const told = [plural(ready.length, "archive"), sessions ? plural(sessions, "session") : "", size(bytes)].filter(Boolean).join(" · ");
  return to ? `${told} → ${to}` : told;
}

/** The project that all go to, or how many there are; what has none waits in the prearchive without one. */
function destinationOf(decisions) {
  const projects = new Set(decisions.map((one) => one.project));
  if (!decisions.some((one) => one.naming.row?.project)) return project() || (options.where === "headers" ? "projects named by the headers" : "");
  const isWithout = projects.delete(UNASSIGNED);
  if (projects.size === 0) return "no project";
  const to = projects.size === 1 ? [...projects][0] : plural(projects.size, "project");
  return isWithout ? `${to}, some without a project` : to;
}

/** Whether a transfer and its import are over, whatever came of it. */
export const isOver = (transfer) => transfer.state === "cancelled" || (transfer.state === "done" && isEnded(transfer.import?.state));

/** The key of a session in SESSIONS. One out of sight is "hidden" where its project may be so as a whole, as after a role was
 * lost: then nobody knows that it was moved. */
export function stateOfSession(session) {
  const key = sessionState(session);
  const from = session.then.project ?? "";
  return key === "out_of_sight" && from !== UNASSIGNED && named(from) === undefined ? "hidden" : key;
}

/** Bytes of all transfers together, without those that were cancelled: {done, total}. */
export function bytesOf(transfers) {
  const some = transfers.filter((one) => one.state !== "cancelled");
  const sum = (of) => some.reduce((all, one) => all + of(one), 0);
  return { done: sum((one) => (one.state === "done" ? one.total : one.sent)), total: sum((one) => one.total) };
}

const STILL = ["paused", "stopped", "elsewhere", "cancelled"]; // of which nothing goes from here until somebody acts

/** How fast all transfers go together, and how long those take that do not stand still; a pause is no part of it. */
export class TotalPace {
  #pace = new Pace();
  #rate = null; // the last that was seen, until the next one is

  /** {rate, left}, or null where that can't be said. */
  note(transfers, now = performance.now()) {
    if (!transfers.some((one) => one.state === "running")) {
      this.#pace.anew();
      this.#rate = null;
      return null;
    }
    const going = transfers.filter((one) => !STILL.includes(one.state));
    const { done, total } = bytesOf(going);
    this.#rate = this.#pace.note(going.map(({ id }) => id).join(), { done, total }, now)?.rate ?? this.#rate;
    return this.#rate && { rate: this.#rate, left: (total - done) / this.#rate };
  }
}

/** How many sessions came to which state in which project: [{key, project, count}], those archived first. One that several
 * archives brought counts once. */
export function outcomesOf(transfers) {
  const counted = new Map();
  for (const { key, of } of sessionsOf(transfers)) {
    const id = `${Object.keys(SESSIONS).indexOf(key)} ${of}`;
    const known = counted.get(id) ?? { id, key, project: of, count: 0 };
    known.count += 1;
    counted.set(id, known);
  }
  return [...counted.values()].filter(({ key }) => key !== "left_out").sort((one, other) => (one.id < other.id ? -1 : 1));
}

/** {key, of} of each session of some transfers, by its id where it has one: "archived" where any of them added to it. */
function sessionsOf(transfers) {
  const sessions = new Map();
  for (const session of transfers.flatMap(({ import: is }) => is?.sessions ?? [])) {
    const known = { key: stateOfSession(session), of: session.project ?? session.then.project ?? "" };
    const id = session.session ?? known; // null where it is out of sight, deleted or refused
    if (sessions.get(id)?.key !== "archived") sessions.set(id, known);
  }
  return sessions.values();
}

/** "2 files could not be read": of archives whose other files were imported; "" where all could. */
export function unreadableWords(transfers) {
  const count = transfers.reduce((sum, { import: is }) => sum + (is?.sessions.length ? (is.unreadable ?? 0) : 0), 0);
  return count ? `${plural(count, "file")} could not be read` : "";
}

/** "10 sessions archived in LUNG. 1 archive refused.": all that came of some transfers that are over. `notSent`: how
 * many archives of the list could not be uploaded, `notTaken`: how many files came not even to the list. */
export function outcomeWords(transfers, { notSent = 0, notTaken = 0 } = {}) {
  const told = outcomesOf(transfers).map(partWords);
  const without = transfers.filter((one) => !one.import?.sessions.length);
  const count = (is) => without.filter(is).length;
  const refused = count((one) => one.import?.state === "refused");
  const failed = count((one) => one.import?.state === "failed");
  const cancelled = count((one) => one.state === "cancelled" || one.import?.state === "cancelled");
  for (const [word, n] of [["refused", refused], ["failed", failed], ["cancelled", cancelled]]) if (n) told.push(`${plural(n, "archive")} ${word}`);
  const unreadable = unreadableWords(transfers);
  if (unreadable) told.push(unreadable);
  if (notSent) told.push(`${plural(notSent, "archive")} ${notSent === 1 ? "was" : "were"} not uploaded`);
  if (notTaken) told.push(`${plural(notTaken, "file")} ${notTaken === 1 ? "was" : "were"} not taken`);
  return told.length ? `${told.join(". ")}.` : "";
}

/** "10 sessions archived in LUNG". */
function partWords({ key, project: of, count }) {
  const words = `${plural(count, "session")} ${SESSIONS[key].word}`;
  if (!of) return words;
  if (of === UNASSIGNED) return `${words}, without a project`;
  if (key === "out_of_sight") return `${plural(count, "session")} moved from ${of} to another project`;
  if (key === "deleted") return `${words} from ${of}`;
  return key === "prearchive" ? `${words} of ${of}` : `${words} in ${of}`;
}
