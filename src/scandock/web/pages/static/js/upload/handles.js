// Handles of files and folders that are being sent, kept by the browser, so that one click goes on after a reload.
//
// Where the page is no secure context (plain http under a host name) there are none, and none is asked for.

import { browserStore } from "./browser_store.js";

const uploads = browserStore("scandock-uploads", "handles");

/** Keep the handle of an upload's file or folder. */
export const keep = (upload, handle) => uploads("readwrite", (store) => store.put(handle, upload));

/** Forget it: the upload is done, or given up. */
export const drop = (upload) => uploads("readwrite", (store) => store.delete(upload));

/** Forget all of them. */
export const clear = () => uploads("readwrite", (store) => store.clear());

/** The handles of uploads, by their ids; those of others than `ids` are forgotten. */
export async function all(ids) {
  const keys = (await uploads("readonly", (store) => store.getAllKeys()))?.result ?? [];
  const found = new Map();
  for (const key of keys) {
    if (!ids.includes(key)) await drop(key);
    else found.set(key, (await uploads("readonly", (store) => store.get(key)))?.result);
  }
  return found;
}

/** Whether it may be read, asking the person where need be; in the answer to a click. */
export async function allowed(handle) {
  if ((await handle.queryPermission({ mode: "read" })) === "granted") return true;
  return (await handle.requestPermission({ mode: "read" })) === "granted";
}
