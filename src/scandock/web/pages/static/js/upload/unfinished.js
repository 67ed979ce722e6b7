// Uploads that the server has in part, from before: listed, gone on with by their file, finished without it, discarded.

import { listen } from "../live/stream.js";
import { listenToTabs, stateElsewhere, tellCancelled, tellTaken } from "../live/tabs.js";
import { say } from "../site.js";
import { fromHandle } from "./choosing.js";
import { sizeIn } from "./fingerprint.js";
import * as handles from "./handles.js";
import { shown } from "./names.js";
import { goesElsewhere, questionOf } from "./not_taken.js";
import { projectOrNone } from "./options.js";
import { addSent } from "./picks.js";
import { endOwnFromBefore, isOwnFromBefore } from "./returned.js";
import { begin, transfers } from "./transfers.js";
import { discard, finish, unfinished } from "./tus.js";
import { unfinishedView } from "./unfinished_view.js";

const SOON = 300; // milliseconds after which changes elsewhere are asked about, together
const AGAIN = 2000; // milliseconds after which it is asked again how far those are that are sent elsewhere

export class Unfinished {
  #left = [];
  #held = new Map(); // handles by the ids of uploads
  #told = new Map(); // what is said beside one, by its id
  #asked = new Map(); // files that uploads may go on with here, once that is answered, by the ids of these
  #endElsewhere;
  #tried = new Set(); // ids of those that were asked to be finished: an error is said once
  #timer = null;
  #soon = null;
  #isOver = false;
  #named = new URLSearchParams(location.search).get("upload"); // the one that a link leads to

  /** `acts`: {choose(upload), known(one, upload): whether it is that one and goes on now, add(one), after()}. */
  constructor(acts) {
    this.acts = acts;
    const goOn = (one) => this.#goOn(one);
    const choose = (one) => {
      this.tell(one, "");
      acts.choose(one);
    };
    const here = (one) => this.#begin(one, this.#asked.get(one.id));
    const ends = [
      listenToTabs(() => {
        if (this.#left.length) this.refresh();
        this.#lookSoon();
      }),
      listen((kind, data) => (kind === "begin" || this.#concerns(kind, data)) && this.#lookSoon()),
    ];
    this.#endElsewhere = () => ends.forEach((end) => end());
    this.element = unfinishedView({ choose, goOn, here, discard: (one) => this.#discard(one) });
  }

  /** Those that no file was given to here. */
  get open() {
    return this.#left.filter((one) => !one.finished && !isHere(one));
  }

  /** Whether one of them may have so many bytes. */
  mayBe(size) {
    return this.open.some((one) => sizeIn(one.fingerprint) === size);
  }

  /** Go on with the one that `known` is the fingerprint of: "taken", "" where there is none, "elsewhere" where another
   * browser sends it, or "asked" where another tab has it or it goes into another project than the settings name, unless
   * the file was chosen for that very upload (`wanted`). */
  async take(one, known, wanted = null) {
    const find = () => this.open.find((two) => two.fingerprint === known);
    if (find()?.receiving) await this.look(); // it may have been cut since
    const upload = find();
    if (upload === undefined) return "";
    const elsewhere = stateElsewhere(upload.id);
    if (upload.receiving && elsewhere === "" && !upload.isOwn) return "elsewhere";
    if (wanted?.id !== upload.id && (elsewhere !== "" || goesElsewhere(upload, projectOrNone()))) {
      this.#asked.set(upload.id, one);
      this.refresh();
      this.element.reveal(upload.id);
      return "asked";
    }
    this.#begin(upload, one);
    return "taken";
  }

  /** What is asked of a file that was "asked" about. */
  questionAbout(one) {
    const [id] = [...this.#asked].find(([, file]) => file === one);
    return questionOf(this.#left.find((upload) => upload.id === id), projectOrNone());
  }

  /** Go on with an upload by its file, with the settings that it has on the server. */
  #begin(upload, one) {
    this.#asked.delete(upload.id);
    addSent(one, begin({ ...one, upload }));
    tellTaken(upload.id);
    this.refresh();
    say(`${shown(one.name)} is known again and goes on.`);
  }

  /** Say `words` beside an upload, as of a file that is not its own. */
  tell(upload, words) {
    this.#told.set(upload.id, words);
    this.refresh();
  }

  /** Ask the server what there is. */
  async look() {
    clearTimeout(this.#timer);
    try {
      const all = await unfinished();
      this.#held = await handles.all(all.map((one) => one.id));
      this.#take(all);
      if (this.#named !== null) this.element.reveal(this.#named);
      this.#named = null;
    } catch {
      return; // without the server nothing is listed; what is done here says so by itself
    }
    const whole = this.#left.filter((one) => one.offset === one.size && !one.receiving && !this.#tried.has(one.id));
    for (const one of whole) await this.#finish(one);
    clearTimeout(this.#timer);
    if (!this.#isOver && this.#left.some((one) => one.receiving)) this.#timer = setTimeout(() => this.look(), AGAIN);
  }

  /** One comes back to the page, maybe from the tab that sends. */
  seen = () => {
    if (document.visibilityState === "visible" && this.#left.length) this.look();
  };

  /** Whether what the server tells is news of one that is listed: bytes of it come, or no more will. */
  #concerns(kind, { id }) {
    const upload = kind === "state" ? undefined : this.#left.find((one) => one.id === id && !one.finished);
    return upload !== undefined && (kind !== "progress" || !upload.receiving);
  }

  /** Another tab or browser did something, maybe to one that is listed. */
  #lookSoon() {
    if (!this.#left.length || this.#isOver) return;
    clearTimeout(this.#soon);
    this.#soon = setTimeout(() => this.look(), SOON);
  }

  /** One has moved on: nothing is asked any more. */
  end() {
    this.#isOver = true;
    this.#endElsewhere();
    clearTimeout(this.#timer);
    clearTimeout(this.#soon);
  }

  refresh() {
    this.#left = this.#left.filter((one) => !isHere(one));
    for (const one of this.#left) {
      one.elsewhere = stateElsewhere(one.id);
      one.isOwn = one.elsewhere === "" && isOwnFromBefore(one.id);
    }
    this.element.refresh(this.#left, this.#held, this.#told, this.#asked);
  }

  /** List what the server tells; what is finished stays to be seen, and what was cut meanwhile is said. */
  #take(all) {
    const before = new Map(this.#left.map((one) => [one.id, one]));
    const done = this.#left.filter((one) => one.finished && !all.some((two) => two.id === one.id));
    this.#left = [...all.map((one) => Object.assign(before.get(one.id) ?? {}, { was: before.get(one.id)?.receiving }, one)), ...done];
    for (const one of this.#left) {
      if (one.receiving) this.#told.delete(one.id);
      else endOwnFromBefore(one.id);
    }
    this.refresh();
    for (const one of this.open.filter(({ was, receiving, isOwn }) => was && !receiving && !isOwn)) {
      if (one.offset < one.size) say(`${shown(one.filename)} is not being uploaded any more: it can go on from here.`);
    }
  }

  /** All bytes of it are there, and its import did not begin, as when a login ended with the last of them. */
  async #finish(upload) {
    this.#tried.add(upload.id);
    try {
      await finish(upload.id);
    } catch (error) {
      return say(`${shown(upload.filename)}: ${error.message}`);
    }
    upload.finished = true;
    handles.drop(upload.id);
    this.refresh();
    return say(`${shown(upload.filename)} was on the server already: its import goes on by itself.`);
  }

  async #goOn(upload) {
    const handle = this.#held.get(upload.id);
    try {
      if (!(await handles.allowed(handle))) return say("The browser was not allowed to read it: choose the file again.");
      const one = await fromHandle(handle);
      if (!(await this.acts.known(one, upload))) {
        this.#held.delete(upload.id);
        this.refresh();
        say(`${shown(one.name)} has changed since: it can't go on. It is on the list as a new one.`);
        this.acts.add(one);
      }
    } catch {
      this.#held.delete(upload.id);
      this.refresh();
      say("The file is not there any more: choose it again.");
    }
    return undefined;
  }

  /** Discard one, unless another tab has begun to send it since it was listed. */
  async #discard(upload) {
    await this.look();
    if (upload.receiving && !upload.isOwn) return say(`${shown(upload.filename)} is being uploaded from another tab or browser: it is left alone.`);
    try {
      await discard(upload.id);
    } catch (error) {
      return say(error.message);
    }
    handles.drop(upload.id);
    tellCancelled(upload.id);
    this.#left = this.#left.filter((one) => one !== upload);
    this.refresh();
    this.acts.after();
    return say(`${shown(upload.filename)} is discarded.`);
  }
}

/** Whether this page sends it. */
const isHere = (upload) => transfers.some((one) => one.upload === upload.id && !one.isOver);
