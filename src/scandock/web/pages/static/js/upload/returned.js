// Archives that were on the server, or on their way through its import, before the page was reloaded: they come back to the
// list with their progress and their sessions. The tab keeps the ids of their imports, and the server tells the rest; it
// also keeps the ids of those that it was sending, of which bytes may still come through a proxy.

import { importOf } from "../addresses.js";
import { subscribe } from "../bus.js";
import { ask, user } from "../site.js";
import { addSent } from "./picks.js";
import { Transfer } from "./transfer.js";
import { changed, transfers } from "./transfers.js";

const KEY = "scandock-sent";
const MOST = 200;
const before = readKept();
let coming = []; // ids that the server is asked about
const sending = new Set(before.sending); // ids of uploads that this tab sent before the reload, as long as bytes of them come

/** Whether bytes that come of an upload now were sent by this tab, before the page was loaded. */
export const isOwnFromBefore = (id) => sending.has(id);

/** No byte of it comes any more: if some do later, it is sent from elsewhere. */
export const endOwnFromBefore = (id) => sending.delete(id);

/** Bring them back, once for a document, and from then on keep the ids of those that are on the server. */
export async function bringBack() {
  coming = before.ids;
  subscribe("transfers", keepIds);
  for (const id of [...coming]) {
    const answer = await ask(importOf(id)).catch(() => null);
    if (answer?.ok) list(id, await answer.json());
    coming = coming.filter((one) => one !== id);
  }
  if (!transfers.length) keepIds([]);
}

function list(id, { archive, size }) {
  if (transfers.some((one) => one.upload === id)) return;
  const source = { name: archive, file: { name: archive, size: size ?? 0, lastModified: 0 } };
  const transfer = new Transfer({ ...source, upload: { id, offset: size ?? 0 } }, changed);
  Object.assign(transfer, { state: "done", isReturned: true }); // its bytes are not here any more
  transfers.push(transfer);
  addSent(source, transfer);
  changed(transfer, true);
}

function keepIds(all) {
  const done = all.filter(({ state }) => state === "done").map(({ id }) => id);
  const ids = [...new Set([...coming, ...done])].slice(-MOST);
  const open = all.filter(({ state }) => !["done", "cancelled", "elsewhere"].includes(state)).map(({ id }) => id);
  const sent = [...new Set([...sending, ...open])].slice(-MOST);
  if (ids.length || sent.length) sessionStorage.setItem(KEY, JSON.stringify({ user, ids, sending: sent }));
  else sessionStorage.removeItem(KEY);
}

/** {ids, sending} of who is logged in; another one begins with none. */
function readKept() {
  const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
  return kept?.user === user ? { sending: [], ...kept } : { ids: [], sending: [] };
}
