// Archives that were on the server, or on their way through its import, before the page was reloaded: they come back to the
// list with their progress and their sessions. The tab keeps the ids of their imports, and the server tells the rest.

import { importOf } from "../addresses.js";
import { subscribe } from "../bus.js";
import { ask, user } from "../site.js";
import { addSent } from "./picks.js";
import { Transfer } from "./transfer.js";
import { changed, transfers } from "./transfers.js";

const KEY = "scandock-sent";
const MOST = 200;
let coming = []; // ids that the server is asked about

/** Bring them back, once for a document, and from then on keep the ids of those that are on the server. */
export async function bringBack() {
  coming = idsOf(sessionStorage.getItem(KEY));
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
  if (ids.length) sessionStorage.setItem(KEY, JSON.stringify({ user, ids }));
  else sessionStorage.removeItem(KEY);
}

/** The ids of who is logged in; another one begins with none. */
function idsOf(text) {
  const kept = text === null ? null : JSON.parse(text);
  return kept?.user === user ? kept.ids : [];
}
