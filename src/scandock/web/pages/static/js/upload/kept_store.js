// Lists of chosen files that this browser keeps for a reload, by account: erased at logout and after a day.

import { browserStore } from "./browser_store.js";
import * as handles from "./handles.js";
import { forgetProject } from "./last_project.js";

const DAY = 24 * 60 * 60 * 1000;
const lists = browserStore("scandock-kept", "lists");

/** A list: {user, tab, archives: [{at, ...}], options}; archives that were chosen more than a day ago are left out. */
const fresh = (list, now) => ({ ...list, archives: list.archives.filter(({ at }) => now - at < DAY) });

/** Keep the list of a tab; whether that was done. */
export async function put(list) {
  return (await lists("readwrite", (store) => store.put(list, [list.user, list.tab]))) !== null;
}

/** Forget the list of a tab; whether that was done. */
export async function remove({ user, tab }) {
  return (await lists("readwrite", (store) => store.delete([user, tab]))) !== null;
}

/** The lists of an account. Those of other accounts, and what is older than a day, are erased. */
export async function listsOf(user, now = Date.now()) {
  const own = [];
  for (const list of (await lists("readonly", (store) => store.getAll()))?.result ?? []) {
    const left = fresh(list, now);
    if (list.user !== user || !left.archives.length) await remove(list);
    else own.push(left);
    if (list.user === user && left.archives.length && left.archives.length < list.archives.length) await put(left);
  }
  return own;
}

/** Erase everything, as at logout: handles of uploads that were cut, and the project that was chosen last, too. */
export async function eraseAll() {
  forgetProject();
  await Promise.all([lists("readwrite", (store) => store.clear()), handles.clear()]);
}
