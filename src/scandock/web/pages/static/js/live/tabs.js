// What the tabs of this browser tell each other of their uploads: the server knows only whose bytes come right now.

import { subscribe } from "../bus.js";
import { root, user } from "../site.js";

const OVER = ["done", "cancelled", "elsewhere"];
const PATIENCE = 3000; // milliseconds in which a tab that lives answers
const others = new Map(); // by tab: {states: of its uploads, by their ids, sent: likenesses of all that it has sent, or sends}
const listeners = new Set();
const tab = crypto.getRandomValues(new Uint32Array(4)).join("-");
let channel = null;
let own = [];
let sent = [];
let answered = null; // tabs that were heard since all were asked; null while nobody is asked

/** Hear of other tabs: `listener(kind, id)` of an upload that one of them has taken over ("taken") or cancelled
 * ("cancelled"), or ("changed") that they have others, or other states of them. The answer ends it. */
export function listenToTabs(listener) {
  listeners.add(listener);
  join();
  return () => listeners.delete(listener);
}

/** The state of an upload in another tab; "" where none has it. */
export function stateElsewhere(id) {
  for (const { states } of others.values()) if (states.has(id)) return states.get(id);
  return "";
}

/** Ask the other tabs again what they have: one that ended without a word, or whose last word was lost, has nothing. */
export function askTabs() {
  if (answered !== null) return;
  answered = new Set();
  tell("asking");
  setTimeout(() => {
    const gone = [...others.keys()].filter((one) => !answered.has(one));
    answered = null;
    for (const one of gone) hear({ kind: "have", tab: one });
  }, PATIENCE);
}

/** Whether another tab has uploaded what has this likeness, or is about to. */
export const isSentElsewhere = (likeness) => [...others.values()].some((other) => other.sent.has(likeness));

/** This tab sends an upload from now on: another one that has it leaves it. */
export const tellTaken = (id) => tell("taken", { id });

/** Nothing is there of an upload any more. */
export const tellCancelled = (id) => tell("cancelled", { id });

function join() {
  if (channel !== null || typeof BroadcastChannel !== "function") return;
  channel = new BroadcastChannel(JSON.stringify(["scandock-uploads", root, user]));
  channel.onmessage = ({ data }) => hear(data);
  tell("asking");
  subscribe("transfers", (transfers) => {
    const before = JSON.stringify([own, sent]);
    own = transfers.filter(({ state }) => !OVER.includes(state)).map(({ id, state }) => [id, state]);
    sent = transfers.filter(({ state, likeness }) => likeness && !["cancelled", "elsewhere"].includes(state)).map(({ likeness }) => likeness);
    if (JSON.stringify([own, sent]) !== before) tell("have", { own, sent });
  });
  addEventListener("pagehide", () => tell("have", { own: [], sent: [] }));
  addEventListener("pageshow", ({ persisted }) => persisted && (own.length || sent.length) && tell("have", { own, sent }));
}

function tell(kind, more = {}) {
  join();
  channel?.postMessage({ kind, tab, ...more });
}

function hear({ kind, tab: from, id = "", own: theirs = [], sent: theirSent = [] }) {
  answered?.add(from);
  if (kind === "asking") {
    if (own.length || sent.length) tell("have", { own, sent });
    return;
  }
  if (kind === "have") {
    if (theirs.length || theirSent.length) others.set(from, { states: new Map(theirs), sent: new Set(theirSent) });
    else others.delete(from);
  }
  for (const one of [...listeners]) one(kind === "have" ? "changed" : kind, id);
}
