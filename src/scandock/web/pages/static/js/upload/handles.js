// Handles of files and folders that are being sent, kept by the browser, so that one click goes on after a reload.
//
// Where the page is no secure context (plain http under a host name) there are none, and none is asked for.

const STORE = "handles";
let opening = null;

function database() {
  opening ??= new Promise((resolve, reject) => {
    const asked = indexedDB.open("scandock-uploads", 1);
    asked.addEventListener("upgradeneeded", () => asked.result.createObjectStore(STORE));
    asked.addEventListener("success", () => resolve(asked.result));
    asked.addEventListener("error", () => reject(asked.error));
  });
  return opening;
}

async function within(mode, act) {
  if (!window.isSecureContext || !window.indexedDB) return undefined;
  try {
    const store = (await database()).transaction(STORE, mode).objectStore(STORE);
    const asked = act(store);
    return await new Promise((resolve, reject) => {
      asked.addEventListener("success", () => resolve(asked.result));
      asked.addEventListener("error", () => reject(asked.error));
    });
  } catch {
    return undefined; // a private window keeps nothing: the file is chosen again
  }
}

/** Keep the handle of an upload's file or folder. */
export const keep = (upload, handle) => within("readwrite", (store) => store.put(handle, upload));

/** Forget it: the upload is done, or given up. */
export const drop = (upload) => within("readwrite", (store) => store.delete(upload));

/** The handles of uploads, by their ids; those of others than `uploads` are forgotten. */
export async function all(uploads) {
  const keys = (await within("readonly", (store) => store.getAllKeys())) ?? [];
  const found = new Map();
  for (const key of keys) {
    if (!uploads.includes(key)) await drop(key);
    else found.set(key, await within("readonly", (store) => store.get(key)));
  }
  return found;
}

/** Whether it may be read, asking the person where need be; in the answer to a click. */
export async function allowed(handle) {
  if ((await handle.queryPermission({ mode: "read" })) === "granted") return true;
  return (await handle.requestPermission({ mode: "read" })) === "granted";
}
