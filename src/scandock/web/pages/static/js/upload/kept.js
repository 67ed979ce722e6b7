// What is chosen and not yet on the server, kept for a reload: handles of its files, edits, and the form's settings.
//
// Each tab has a list of its own. A list whose tab is gone is offered to the next one of the same account.

import { fromHandle } from "./choosing.js";
import { allowed } from "./handles.js";
import { listsOf, put, remove } from "./kept_store.js";

const TAB = "scandock-tab";
const RELEASED = [0, 100, 300]; // milliseconds after which the lock of the document before a reload is released
const NOT_ALLOWED = "The browser was not allowed to read it. Restore it again, or choose it.";
const MISSING = "It was moved, renamed or deleted. Choose it again.";

const handlesOf = ({ handle, files }) => (handle ? [handle] : (files ?? []).map((one) => one.handle));

/** Whether an archive can be had again after a reload: {handle} or {files: [{handle}]}. */
function isRestorable(archive) {
  const handles = handlesOf(archive);
  return handles.length > 0 && handles.every(Boolean);
}

/** The list of this document, and what was left from before. */
export class Kept {
  #user;
  #tab = null;
  #waiting = []; // records of archives from before, which were not restored yet
  #before = {}; // the form's settings of then
  #now = { archives: [], options: {} }; // what is on the list
  #since = new WeakMap(); // when an archive was chosen, by its first handle
  #isWriting = false;
  #turn = 0; // counts what is to be written
  #kept = 0; // the turn that was written last
  #written = "";

  constructor(user) {
    this.#user = user;
  }

  /** Look for what is kept; gives the form's settings of then, null where nothing is kept. */
  async begin() {
    if (!this.#user || !globalThis.isSecureContext || !navigator.locks) return null;
    const tab = await claimTab();
    const { held } = await navigator.locks.query();
    const alive = new Set(held.map(({ name }) => name));
    const lists = (await listsOf(this.#user)).filter((one) => one.tab === tab || !alive.has(lockOf(one.tab)));
    this.#waiting = lists.flatMap(({ archives }) => archives);
    this.#before = lists.at(-1)?.options ?? {};
    this.#tab = tab;
    await this.#write();
    for (const one of lists) if (one.tab !== tab) await remove(one);
    return this.count ? this.#before : null;
  }

  /** How many archives can be restored. */
  get count() {
    return this.#waiting.length;
  }

  /** Keep archives ({name, handle or files, edits}) and settings in place of those before, beside what can be restored. */
  keep(archives, options) {
    this.#now = { archives: archives.filter(isRestorable), options: { ...options } };
    return this.#write();
  }

  /** Whether leaving loses any of these archives. */
  wouldLose(archives) {
    return archives.length > 0 && (this.#tab === null || this.#kept < this.#turn || !archives.every(isRestorable));
  }

  /** Read the files again, in the answer to a click: {picks: [{name, file or files, handle, edits}], refused: [{name, why}]}. */
  async restore() {
    const [picks, refused, left] = [[], [], []];
    for (const record of this.#waiting) {
      const { name, handle, files, edits, at } = record;
      if (!(await areAllowed(handlesOf(record)))) {
        left.push(record);
        refused.push({ name, why: NOT_ALLOWED });
        continue;
      }
      try {
        picks.push({ ...(handle ? await fromHandle(handle) : { name, files: await filesOf(files), handle: null }), edits });
        this.#since.set(handlesOf(record)[0], at);
      } catch {
        refused.push({ name, why: MISSING });
      }
    }
    this.#waiting = left;
    return { picks, refused };
  }

  /** Forget what was not restored. */
  discard() {
    this.#waiting = [];
    return this.#write();
  }

  async #write() {
    this.#turn += 1;
    if (this.#tab === null || this.#isWriting) return;
    this.#isWriting = true;
    for (let turn = 0; turn < this.#turn; ) {
      turn = this.#turn;
      const { archives } = this.#now;
      const options = archives.length ? this.#now.options : this.#before;
      const list = { user: this.#user, tab: this.#tab, options, archives: [...this.#waiting, ...archives.map((one) => this.#record(one))] };
      const words = JSON.stringify(list); // without handles, which differ by their time
      const isDone = words === this.#written || (await (list.archives.length ? put(list) : remove(list)));
      this.#written = isDone ? words : "";
      if (isDone) this.#kept = turn;
    }
    this.#isWriting = false;
  }

  #record({ name, handle = null, files, edits }) {
    const [first] = handlesOf({ handle, files });
    if (!this.#since.has(first)) this.#since.set(first, Date.now());
    const own = handle ? null : files.map((one) => ({ path: one.path, handle: one.handle }));
    return { at: this.#since.get(first), name, handle, files: own, edits: [...edits] };
  }
}

async function areAllowed(handles) {
  try {
    for (const handle of handles) if (!(await allowed(handle))) return false;
    return true;
  } catch {
    return false; // the browser asks nobody, as too long after the click
  }
}

async function filesOf(kept) {
  const files = [];
  for (const { path, handle } of kept) files.push({ path, file: await handle.getFile(), handle });
  return files;
}

const lockOf = (tab) => `scandock-list ${tab}`;

/** The name of this tab, the same after a reload, and held while its document lives; a copy of a tab has its own. */
async function claimTab() {
  const before = sessionStorage.getItem(TAB);
  if (before !== null) {
    for (const wait of RELEASED) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      if (await hold(before)) return before;
    }
  }
  const tab = crypto.randomUUID();
  sessionStorage.setItem(TAB, tab);
  await hold(tab);
  return tab;
}

/** Whether the name is this document's now. */
function hold(tab) {
  return new Promise((resolve) => {
    navigator.locks.request(lockOf(tab), { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      return lock && new Promise(() => {}); // until the document is gone
    });
  });
}
