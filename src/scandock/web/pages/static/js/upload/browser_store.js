// A store of the browser's own, for handles of files: there is one in a secure context only.

/** A function that asks the one object store of a database of its own: see `ask`. */
export function browserStore(database, store) {
  let opening = null;

  function open() {
    opening ??= new Promise((resolve, reject) => {
      const asked = indexedDB.open(database, 1);
      asked.addEventListener("upgradeneeded", () => asked.result.createObjectStore(store));
      asked.addEventListener("success", () => resolve(asked.result));
      asked.addEventListener("error", () => reject(asked.error));
    });
    return opening;
  }

  /** {result} of `act(objectStore)`, which makes a request, once that is in the database; null where it failed. */
  return async function ask(mode, act) {
    if (!globalThis.isSecureContext || !globalThis.indexedDB) return null;
    try {
      const transaction = (await open()).transaction(store, mode);
      const asked = act(transaction.objectStore(store));
      return await new Promise((resolve, reject) => {
        transaction.addEventListener("complete", () => resolve({ result: asked.result }));
        for (const name of ["abort", "error"]) transaction.addEventListener(name, () => reject(transaction.error));
      });
    } catch {
      return null; // a private window keeps nothing, and what can't be copied is not kept: files are chosen again
    }
  };
}
