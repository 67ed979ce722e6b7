// What becomes of uploads once they are on the server: how far their imports are, and where each session went.

import { importAct, importOf, importSessions } from "../addresses.js";
import { listen } from "../live/stream.js";
import { ask, problemOf } from "../site.js";
import { isEnded } from "../states.js";
import { askOfHidden } from "./projects.js";

const AGAIN = 5000; // milliseconds after which the server is asked again that did not answer
const AT_ONCE = 50; // ended imports that one look asks about; those that were asked longest ago come first
const followed = new Map(); // by the import's id: {transfer, changed, isAsking, isStale}
const looks = new WeakMap(); // by transfer: the number of the last look at its sessions
let [isListening, isLooking, lookCount] = [false, false, 0];

/** Follow the import of a transfer whose bytes are all there: `transfer.import` is kept up until it has ended, and
 * `changed(transfer, turn)` told, `turn` where its state is another one. */
export function follow(transfer, changed) {
  transfer.import = { state: "received", stage: "", progress: null, message: "", sessions: [] };
  followed.set(transfer.upload, { transfer, changed, isAsking: false, isStale: false });
  if (!isListening) listen(hear);
  isListening = true;
  void look(transfer.upload);
}

/** Ask again where the sessions of ended imports are: somebody may have decided, moved or deleted one since. One request
 * for each import (and 200 sessions), one after another; `changed(transfer, true)` where something is different. */
export async function lookAgain(transfers, changed) {
  if (isLooking) return;
  isLooking = true;
  const lookedAt = (transfer) => looks.get(transfer) ?? 0;
  const ended = transfers.filter((one) => isEnded(one.import?.state) && one.import.sessions.length > 0);
  for (const transfer of ended.sort((one, other) => lookedAt(one) - lookedAt(other)).slice(0, AT_ONCE)) {
    looks.set(transfer, (lookCount += 1));
    await refresh(transfer, changed).catch(() => {}); // unanswered, or logged out meanwhile: the next look asks again
  }
  isLooking = false;
}

async function refresh(transfer, changed) {
  const before = transfer.import;
  const answer = await sessionsOf(transfer.upload).catch((error) => error);
  if (transfer.import !== before || !isEnded(before.state)) return; // it was tried again meanwhile
  const isGone = [403, 404].includes(answer.status);
  if (answer instanceof Error && !isGone) throw answer;
  if (!isGone && JSON.stringify(answer) === JSON.stringify(before.sessions)) return;
  if (!isGone) await askOfHidden(answer);
  Object.assign(before, isGone ? { state: "forgotten", message: answer.message, sessions: [] } : { sessions: answer });
  changed(transfer, true);
}

/** Cancel an import or try it again; gives what is wrong, "" where it is done. `act`: "cancel" or "retry". */
export async function change(transfer, act, changed) {
  const answer = await ask(importAct(transfer.upload, act), { method: "POST" }).catch(() => null);
  if (answer === null) return "Can't reach the server. Try again.";
  const problem = answer.ok ? "" : await problemOf(answer);
  follow(transfer, changed);
  return problem;
}

function hear(kind, data) {
  if (kind === "state") return;
  if (kind === "begin") {
    for (const id of followed.keys()) void look(id);
    return;
  }
  const one = followed.get(data.id);
  if (one === undefined) return;
  if (kind === "outcome") void look(data.id);
  else if (kind === "progress") move(one, "running", { stage: data.stage, progress: data.bytes });
  else if (kind === "running" || kind === "stage") move(one, "running", { stage: data.stage ?? "" });
}

function move({ transfer, changed }, state, more = {}) {
  const before = transfer.import.state;
  Object.assign(transfer.import, { state }, more);
  changed(transfer, before !== state);
}

async function look(id) {
  const one = followed.get(id);
  if (one === undefined) return;
  one.isStale = true;
  if (one.isAsking) return;
  one.isAsking = true;
  while (one.isStale && followed.get(id) === one) {
    one.isStale = false;
    await read(id, one).catch(() => setTimeout(() => look(id), AGAIN)); // unanswered, or logged out meanwhile
  }
  one.isAsking = false;
}

async function read(id, one) {
  const answer = await ask(importOf(id));
  if (answer.status === 404 || answer.status === 403) return end(id, one, { state: "forgotten", message: await problemOf(answer) });
  if (!answer.ok) throw new Error(String(answer.status));
  const { state, code, message, progress, entries } = await answer.json();
  if (!isEnded(state)) return move(one, state === "receiving" ? "received" : state, { message, stage: progress?.stage ?? "", progress: progress?.bytes ?? null });
  const sessions = ["refused", "failed", "cancelled"].includes(state) ? [] : await sessionsOf(id); // nothing of it was stored
  await askOfHidden(sessions);
  return end(id, one, { state, code, message, sessions, unreadable: entries?.unparseable ?? 0 });
}

function end(id, one, { state, ...more }) {
  if (followed.get(id) !== one) return;
  followed.delete(id);
  Object.assign(one.transfer.import, { state, stage: "", progress: null }, more);
  one.changed(one.transfer, true);
}

async function sessionsOf(id) {
  const sessions = [];
  for (let cursor = ""; cursor !== null; ) {
    const answer = await ask(importSessions(id, cursor));
    if (!answer.ok) throw Object.assign(new Error(await problemOf(answer)), { status: answer.status });
    const page = await answer.json();
    sessions.push(...page.items);
    cursor = page.next;
  }
  return sessions;
}
