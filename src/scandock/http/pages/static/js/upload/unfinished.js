// Uploads that the server has in part, from before: listed, gone on with by their file, finished without it, discarded.

import { say } from "../site.js";
import { fromHandle } from "./choosing.js";
import { sizeIn } from "./fingerprint.js";
import * as handles from "./handles.js";
import { shown } from "./names.js";
import { begin, transfers } from "./transfers.js";
import { unfinishedView } from "./transfers_view.js";
import { discard, finish, unfinished } from "./tus.js";

export class Unfinished {
  #left = [];
  #held = new Map(); // handles by the ids of uploads

  /** `acts`: {choose(), known(one): whether it is one that goes on now, add(one), after()}. */
  constructor(acts) {
    this.acts = acts;
    const goOn = (one) => this.#goOn(one);
    this.element = unfinishedView({ choose: acts.choose, goOn, discard: (one) => this.#discard(one) });
  }

  /** Those that may be gone on with: nothing of this page sends them. */
  get open() {
    return this.#left.filter((one) => !one.finished && !transfers.some((two) => two.upload === one.id));
  }

  /** Whether one of them may have so many bytes. */
  mayBe(size) {
    return this.open.some((one) => sizeIn(one.fingerprint) === size);
  }

  /** Go on with the one that `known` is the fingerprint of; whether there is one. */
  take(one, known) {
    const upload = this.open.find((two) => two.fingerprint === known);
    if (upload === undefined) return false;
    begin({ ...one, upload });
    this.#left = this.#left.filter((two) => two !== upload);
    this.#refresh();
    say(`${shown(one.name)} is known again and goes on.`);
    return true;
  }

  /** Ask the server what there is. */
  async look() {
    try {
      const all = await unfinished();
      this.#held = await handles.all(all.map((one) => one.id));
      this.#left = all.filter((one) => !transfers.some((two) => two.upload === one.id && !two.isOver));
    } catch {
      return; // without the server nothing is listed; what is done here says so by itself
    }
    this.#refresh();
    for (const one of this.#left.filter(({ offset, size }) => offset === size)) await this.#finish(one);
  }

  /** All bytes of it are there, and its import did not begin, as when a login ended with the last of them. */
  async #finish(upload) {
    try {
      await finish(upload.id);
    } catch (error) {
      return say(`${shown(upload.filename)}: ${error.message}`);
    }
    upload.finished = true;
    handles.drop(upload.id);
    this.#refresh();
    return say(`${shown(upload.filename)} was on the server already: its import goes on by itself.`);
  }

  async #goOn(upload) {
    const handle = this.#held.get(upload.id);
    try {
      if (!(await handles.allowed(handle))) return say("The browser was not allowed to read it: choose the file again.");
      const one = await fromHandle(handle);
      if (!(await this.acts.known(one))) {
        this.#held.delete(upload.id);
        this.#refresh();
        say(`${shown(one.name)} has changed since: it can't go on. It is on the list as a new one.`);
        this.acts.add(one);
      }
    } catch {
      this.#held.delete(upload.id);
      this.#refresh();
      say("The file is not there any more: choose it again.");
    }
    return undefined;
  }

  async #discard(upload) {
    try {
      await discard(upload.id);
    } catch (error) {
      return say(error.message);
    }
    handles.drop(upload.id);
    this.#left = this.#left.filter((one) => one !== upload);
    this.#refresh();
    this.acts.after();
    return say(`${shown(upload.filename)} is discarded.`);
  }

  #refresh() {
    this.element.refresh(this.#left, this.#held);
  }
}
