// All uploads of this document: three go at once; they live on while one moves about within Scandock.

import { publish } from "../bus.js";
import { say } from "../site.js";
import { shown } from "./names.js";
import { Transfer } from "./transfer.js";

const AT_ONCE = 3;
const BETWEEN = 250; // milliseconds between reports of bytes

export const transfers = [];
const listeners = new Set();
let told = 0;

/** Hear of every change; the answer ends it. */
export function onTransfers(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

const SAID = {
  done: (name) => `${name} is on the server. The page may be left.`,
  paused: (name) => `${name} is paused.`,
  stopped: (name, why) => `${name} has stopped. ${why}`,
  "held up": (name, why) => `${name} is held up. ${why}`,
};

/** `turn`: its state changed, which is said; else only numbers did. */
function changed(transfer, turn) {
  if (turn && SAID[transfer.state]) say(SAID[transfer.state](shown(transfer.name), transfer.why));
  const now = performance.now();
  if (!turn && now - told < BETWEEN) return;
  told = now;
  publish(
    "transfers",
    transfers.map(({ upload, id, name, state, sent, total }) => ({ id: upload ?? id, name, state, sent, total })),
  );
  for (const one of listeners) one(transfer);
  if (turn) queueMicrotask(next);
}

/** Begin an upload, once one of the three places is free. */
export function begin(source) {
  const transfer = new Transfer(source, changed);
  transfers.push(transfer);
  changed(transfer, true);
  return transfer;
}

/** Take what has ended off the list. */
export function clear() {
  const left = transfers.filter((one) => !one.isOver);
  transfers.splice(0, transfers.length, ...left);
  publish("transfers", []);
  for (const one of listeners) one(null);
}

function next() {
  const going = transfers.filter((one) => one.state === "running" || one.state === "held up").length;
  const free = transfers.filter((one) => one.state === "waiting").slice(0, Math.max(0, AT_ONCE - going));
  for (const one of free) one.run();
}

addEventListener("offline", () => {
  for (const one of transfers) one.cut();
});

addEventListener("online", () => {
  for (const one of transfers) one.wake();
});

addEventListener("visibilitychange", () => {
  if (document.visibilityState !== "visible") return; // one comes back from another tab, where one has logged in, maybe
  for (const one of transfers) if (one.remedy === "login") one.wake();
});

addEventListener("beforeunload", (event) => {
  if (transfers.some((one) => one.wouldBeCut)) event.preventDefault();
});
