// Uploads of this page that other tabs, other browsers or other pages act on: they go on there, arrive, or are cancelled.

import { listen } from "../live/stream.js";
import { askTabs, listenToTabs, stateElsewhere, tellTaken } from "../live/tabs.js";
import { stateOf } from "./tus.js";
import { transfers } from "./transfers.js";

const AGAIN = 10_000; // milliseconds after which other tabs are asked again whether they still have what goes on there
const STILL = new Set(["paused", "stopped", "elsewhere"]); // nothing of it goes from here
const inTabs = new WeakSet(); // those elsewhere that a tab of this browser has
let isWatching = false;

/** Follow what happens to uploads elsewhere, from now on, once in a document. */
export function watchElsewhere() {
  if (isWatching) return;
  isWatching = true;
  listen((kind, data) => {
    if (kind === "begin") void lookAgain();
    const transfer = kind === "state" ? undefined : transfers.find((one) => one.upload === data.id);
    if (transfer !== undefined) apply(transfer, newsOf(transfer, kind, data), data);
  });
  listenToTabs((kind, id) => {
    const transfer = transfers.find((one) => one.upload === id);
    if (kind === "taken") transfer?.leave();
    else if (kind === "cancelled") transfer?.endCancelled();
    else seeAll();
  });
  setInterval(() => {
    if (!transfers.some(({ state }) => state === "elsewhere")) return;
    seeAll();
    askTabs();
  }, AGAIN);
  addEventListener("visibilitychange", () => document.visibilityState === "visible" && void lookAgain());
}

/** Go on with one here that another tab or browser has. */
export function takeHere(transfer) {
  transfer.resume();
  tellTaken(transfer.upload);
}

/** What an event of the stream says of a transfer: "cancelled", "arrived", "more" (the server has more of it than is known
 * here, maybe of what was on the wire when it was cut), "left" (more again, so it goes on elsewhere), "moved" (it went on
 * there), or "". */
export function newsOf({ state, sent, hasGrown }, kind, data) {
  if (state === "done" || state === "cancelled") return "";
  if (kind === "outcome") return data.state === "cancelled" ? "cancelled" : "arrived";
  if (!STILL.has(state)) return "";
  if (["received", "running", "stage"].includes(kind)) return "arrived";
  if (kind !== "progress") return "";
  if (data.state !== "receiving") return "arrived";
  if (state === "elsewhere") return "moved";
  if (data.bytes.done <= sent) return "";
  return hasGrown ? "left" : "more";
}

function apply(transfer, news, data) {
  if (news === "cancelled") transfer.endCancelled();
  else if (news === "arrived") transfer.arrive();
  else if (news === "left") transfer.leave();
  if (["more", "left", "moved"].includes(news)) transfer.follow(data.bytes.done);
}

/** Ask the server of those that stand still, as something was missed, maybe. */
async function lookAgain() {
  for (const one of transfers.filter(({ state, upload }) => STILL.has(state) && upload !== null)) await look(one);
}

/** Ask what became of an upload; gives its state. */
async function look(transfer) {
  const state = await stateOf(transfer.upload);
  if (!STILL.has(transfer.state)) return state;
  if (state === "cancelled") transfer.endCancelled();
  else if (state !== "receiving" && state !== "") transfer.arrive();
  return state;
}

function seeAll() {
  for (const one of transfers.filter(({ state }) => state === "elsewhere")) void seen(one);
}

/** Another tab has other uploads now: one that went on there stands still where that tab is gone. */
async function seen(transfer) {
  const isThere = stateElsewhere(transfer.upload) !== "";
  if (isThere) inTabs.add(transfer);
  if (isThere || !inTabs.has(transfer)) return;
  const state = await look(transfer);
  if (state === "") return; // nobody answers: it is asked again
  inTabs.delete(transfer);
  if (state === "receiving" && transfer.state === "elsewhere" && stateElsewhere(transfer.upload) === "") transfer.pause();
}
