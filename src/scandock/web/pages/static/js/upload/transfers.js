// All uploads of this document: three go at once; they live on while one moves about within Scandock.

import { publish } from "../bus.js";
import { briefLikeness } from "./likeness.js";
import { follow } from "./outcomes.js";
import { isOver } from "./totals.js";
import { Transfer } from "./transfer.js";

const AT_ONCE = 3;
const BETWEEN = 250; // milliseconds between reports of bytes

export const transfers = [];
const listeners = new Set();
let told = 0;
const earlier = new WeakMap(); // uploads whose imports have to end before another one begins

/** Hear of every change, `listener(transfer, turn)`; the answer ends it. */
export function onTransfers(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** `turn`: its state changed; else only numbers did. */
export function changed(transfer, turn) {
  if (turn && transfer.state === "done" && !transfer.import) follow(transfer, changed);
  const now = performance.now();
  if (!turn && now - told < BETWEEN) return;
  told = now;
  publish(
    "transfers",
    transfers.map(({ upload, id, name, state, sent, total, likeness }) => ({ id: upload ?? id, name, state, sent, total, likeness })),
  );
  for (const one of listeners) one(transfer, turn);
  if (turn) queueMicrotask(next);
}

/** Begin an upload, once one of the three places is free and those in `after` are imported. */
export function begin(source, after = []) {
  const transfer = new Transfer(source, changed);
  transfer.likeness = briefLikeness(source);
  earlier.set(transfer, after);
  transfers.push(transfer);
  changed(transfer, true);
  return transfer;
}

/** Forget transfers whose archives were taken off the list. */
export function forget(gone) {
  const left = transfers.filter((one) => !gone.includes(one));
  transfers.splice(0, transfers.length, ...left);
  publish("transfers", []);
  if (left.length) changed(left[0], true);
}

/** The upload whose import has to end before this one begins; null for none. One that stands still is not waited for. */
export function waitsFor(transfer) {
  const isAwaited = (one) => transfers.includes(one) && !isOver(one) && !["paused", "stopped"].includes(one.state);
  return (earlier.get(transfer) ?? []).find(isAwaited) ?? null;
}

function next() {
  const going = transfers.filter((one) => one.state === "running" || one.state === "held up").length;
  const free = transfers.filter((one) => one.state === "waiting" && waitsFor(one) === null).slice(0, Math.max(0, AT_ONCE - going));
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
