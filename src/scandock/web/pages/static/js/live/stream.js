// The stream of events as a page hears it: by the worker that all tabs share, or by itself while it is seen.

import { EVENTS, LOGOUT, ME } from "../addresses.js";
import { ask, renewCsrf, root, statics, user } from "../site.js";
import { Reading } from "./reading.js";
import { Standing } from "./standing.js";

const ADDRESS = new URL(root + EVENTS, location.href).href;
const listeners = new Set();
const standing = new Standing();
let connection = null;
let begun = false;
let hasEnded = false; // whether the login ended by which this page was made
let state = "asking";

/** Hear events: `listener(kind, data)`, and `listener("state", "asking" | "open" | "away" | "ended")`; the answer ends it.
 *
 * Whoever comes later hears `begin` first, as it would be told now.
 */
export function listen(listener) {
  listeners.add(listener);
  connection ??= connect();
  listener("state", state);
  if (begun) listener("begin", { user, resumed: false, imports: standing.under });
  return () => listeners.delete(listener);
}

function toAll(kind, data) {
  if (kind === "state") {
    if (data === state) return;
    state = data;
    if (state === "ended") [hasEnded, begun] = [true, false];
    if (state === "open" && hasEnded) void renew();
  } else {
    begun ||= kind === "begin";
    standing.hear(kind, data);
  }
  for (const one of [...listeners]) one(kind, data);
}

/** Take the token of the next login, for what the page asks and its forms. */
async function renew() {
  hasEnded = false;
  const answer = await ask(ME).catch(() => null);
  const { name, csrf } = answer?.ok ? await answer.json() : {};
  if (name === user && csrf) renewCsrf(csrf);
}

function connect() {
  const made = typeof SharedWorker === "function" ? byWorker() : byItself();
  document.addEventListener("submit", (event) => {
    if (event.target.getAttribute("action") === root + LOGOUT) made.end();
  });
  const again = () => state === "ended" && !document.hidden && made.go(); // one has logged in elsewhere, maybe
  document.addEventListener("visibilitychange", again);
  addEventListener("focus", again);
  return made;
}

function byWorker() {
  let now = null;
  const join = () => {
    const name = JSON.stringify({ address: ADDRESS, user });
    const worker = new SharedWorker(`${statics}/js/live/stream_worker.js`, { type: "module", name });
    worker.port.onmessage = ({ data }) => (data.state ? toAll("state", data.state) : toAll(data.kind, data.data));
    worker.onerror = () => (now = byItself());
    now = { end: () => worker.port.postMessage("end"), go: () => worker.port.postMessage("go"), leave: () => worker.port.postMessage("leave") };
  };
  join();
  addEventListener("pagehide", () => now.leave?.());
  addEventListener("pageshow", (event) => event.persisted && now.leave && join());
  return { end: () => now.end(), go: () => now.go() };
}

function byItself() {
  const reading = new Reading(ADDRESS, user, toAll, (now) => toAll("state", now));
  const seen = () => (document.hidden ? reading.pause() : reading.go());
  document.addEventListener("visibilitychange", seen);
  seen();
  return { end: () => reading.stop(), go: () => reading.go() };
}
