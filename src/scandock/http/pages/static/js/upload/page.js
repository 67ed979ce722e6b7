// The upload page: what is chosen is looked into, named, and sent; what was cut is gone on with.

import { plural, size } from "../live/figures.js";
import { say } from "../site.js";
import { fromHandle } from "./choosing.js";
import { keyed, make, set, show } from "./dom.js";
import { sizeIn } from "./fingerprint.js";
import * as handles from "./handles.js";
import { fileInputs, takeDrops } from "./inputs.js";
import { labelsTools } from "./labels_view.js";
import { writeMapping } from "./mapping_csv.js";
import * as options from "./options.js";
import { pickView } from "./picks_view.js";
import { add, forgetKnown, isComplete, onPicks, picks, remove, settleAll } from "./picks.js";
import { begin, onTransfers, transfers } from "./transfers.js";
import { transfersView, unfinishedView } from "./transfers_view.js";
import { discard, finish, unfinished } from "./tus.js";
import { compose, print, warm } from "./worker_client.js";

/** Begin; gives what ends it when one moves on. Transfers and what was chosen live on. */
export function start(main) {
  const page = new Page(main);
  return page.begin();
}

/** Enter in a field takes what is written there, and begins no upload. */
function entered(event) {
  const { target } = event;
  if (event.key !== "Enter" || event.isComposing || target.tagName !== "INPUT" || target.type === "file") return;
  event.preventDefault();
  if (!["checkbox", "radio"].includes(target.type)) target.dispatchEvent(new Event("change", { bubbles: true }));
}

class Page {
  #left = []; // unfinished uploads of the server
  #held = new Map(); // handles by their ids
  #wanted = null; // the transfer whose file is chosen again

  constructor(main) {
    this.form = main.querySelector("#upload");
    this.drop = main.querySelector("#drop");
    this.refused = make("ul", { class: "up-refused" });
    this.list = make("div");
    this.place = main.querySelector("#picks");
    this.tools = labelsTools(say);
    this.problem = make("p", { class: "problem", role: "alert", hidden: true });
    this.total = make("span", { class: "grow" });
    this.bar = make("div", { class: "bar" }, this.total, make("button", { class: "primary", id: "start" }, "Upload"));
    this.transfers = transfersView((one) => this.#again(one));
    this.unfinished = unfinishedView({ choose: () => this.#again(null), goOn: (one) => this.#goOn(one), discard: (one) => this.#discard(one) });
    main.querySelector("#transfers").append(this.transfers);
    main.querySelector("#unfinished").append(this.unfinished);
    this.place.append(make("div", { role: "alert" }, this.refused), this.tools, this.list, this.problem, this.bar);
  }

  begin() {
    options.begin(this.form);
    Object.assign(this, fileInputs(this.form, (found) => this.#chosen(found)));
    this.form.addEventListener("submit", (event) => this.#submit(event));
    this.form.addEventListener("keydown", entered);
    this.form.addEventListener("change", (event) => this.#changed(event));
    this.form.addEventListener("input", (event) => event.target.name === "project" && this.#changed(event));
    const ends = [
      onPicks((pick) => this.#show(pick)),
      onTransfers((one) => this.#moved(one)),
      takeDrops(this.drop, (found) => this.#chosen(found)),
    ];
    this.#said();
    settleAll();
    this.#show();
    this.transfers.refresh();
    this.#look();
    warm();
    return () => ends.forEach((end) => end());
  }

  /** What was chosen: known uploads go on, all else is looked into. */
  async #chosen({ picks: chosen, refused, tables }) {
    keyed(this.refused, refused, ({ name, why }) => name + why, ({ name, why }) => make("li", { class: "problem" }, make("strong", {}, name), ` ${why}`));
    const fresh = [];
    for (const one of chosen) if (!(await this.#known(one))) fresh.push(one);
    this.#wanted = null;
    add(fresh);
    this.#reveal(fresh.length);
    const told = [fresh.length ? `${plural(fresh.length, "archive")} on the list.` : "", refused.length ? `${plural(refused.length, "file")} not taken.` : ""];
    say(told.filter(Boolean).join(" "));
    for (const one of tables) await this.tools.read(one);
  }

  /** Bring what was added into view: at least the beginning of the first of them. */
  #reveal(count) {
    const first = this.list.children[picks.length - count];
    if (count && first.getBoundingClientRect().top > innerHeight - 200) this.place.scrollIntoView({ block: "start" });
  }

  /** Whether it is one that was cut, here or before; then it goes on. */
  async #known(one) {
    const stopped = this.#wanted ?? transfers.find((two) => two.state === "stopped" && two.name === one.name);
    const open = this.#left.filter((two) => !two.finished && !transfers.some((three) => three.upload === two.id));
    if (!stopped && !open.length) return false;
    const tar = one.files ? await compose(one.files.map(({ path, file }) => ({ path, file }))) : null;
    const blob = tar?.blob ?? one.file;
    if (!stopped && !open.some((two) => sizeIn(two.fingerprint) === blob.size)) return false;
    const known = await print(blob, tar?.modified ?? one.file.lastModified);
    if (stopped && stopped.print === known) {
      stopped.replace(one);
      stopped.resume();
      return true;
    }
    const upload = open.find((two) => two.fingerprint === known);
    if (upload === undefined) return false;
    begin({ ...one, upload });
    this.#left = this.#left.filter((two) => two !== upload);
    this.unfinished.refresh(this.#left, this.#held);
    say(`${one.name} is known again and goes on.`);
    return true;
  }

  async #look() {
    try {
      const all = await unfinished();
      this.#held = await handles.all(all.map((one) => one.id));
      this.#left = all.filter((one) => !transfers.some((two) => two.upload === one.id && !two.isOver));
    } catch {
      return; // without the server nothing is listed; what is done here says so by itself
    }
    this.unfinished.refresh(this.#left, this.#held);
    for (const one of this.#left.filter(({ offset, size: all }) => offset === all)) await this.#finish(one);
  }

  /** All bytes of it are there, and its import did not begin, as when a login ended with the last of them. */
  async #finish(upload) {
    try {
      await finish(upload.id);
    } catch (error) {
      return say(`${upload.filename}: ${error.message}`);
    }
    upload.finished = true;
    handles.drop(upload.id);
    this.unfinished.refresh(this.#left, this.#held);
    return say(`${upload.filename} was on the server already: its import goes on by itself.`);
  }

  #again(transfer) {
    this.#wanted = transfer;
    const isFolder = transfer ? Boolean(transfer.files) : false;
    (isFolder ? this.folder : this.files).click();
  }

  async #goOn(upload) {
    const handle = this.#held.get(upload.id);
    try {
      if (!(await handles.allowed(handle))) return say("The browser was not allowed to read it: choose the file again.");
      const one = await fromHandle(handle);
      if (!(await this.#known(one))) {
        this.#held.delete(upload.id);
        this.unfinished.refresh(this.#left, this.#held);
        say(`${one.name} has changed since: it can't go on. It is on the list as a new one.`);
        add([one]);
      }
    } catch {
      this.#held.delete(upload.id);
      this.unfinished.refresh(this.#left, this.#held);
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
    this.unfinished.refresh(this.#left, this.#held);
    this.chooser.focus();
    return say(`${upload.filename} is discarded.`);
  }

  // -- the form ------------------------------------------------------------------------------------------------------

  #changed({ target }) {
    if (!target.name) return;
    options.read(this.form);
    this.#said();
    settleAll();
    this.#bar();
  }

  /** What the chosen project does, and the choices in a few words. */
  #said() {
    const does = options.does();
    const is = this.form.querySelector("#project-is");
    if (is) set(is, does ? `Here ${does}, unless you say otherwise.` : options.project() ? options.problem() : "");
    const own = this.form.querySelector("#project-does");
    set(own, does ? `As ${options.project()} does: ${does}` : "As the project does");
    set(this.form.querySelector("#options-are"), options.summary());
    show(this.problem, false);
  }

  #submit(event) {
    event.preventDefault();
    const wrong = options.problem();
    if (wrong) {
      set(this.problem, wrong);
      show(this.problem, true);
      this.form.elements.project?.focus();
      return;
    }
    const ready = picks.filter((pick) => !pick.problem);
    for (const pick of ready) {
      const rows = pick.rowsToSend();
      const { name, file, files, handle } = pick;
      begin({ name, file, files, handle, fields: options.fields(), mapping: rows.length ? writeMapping(rows) : "" });
      remove(pick);
    }
    if (!ready.length) return;
    this.refused.replaceChildren();
    say(`${plural(ready.length, "upload")} begun.`);
    this.transfers.querySelector("h2").focus();
    this.transfers.scrollIntoView({ block: "nearest" });
  }

  // -- what is shown -------------------------------------------------------------------------------------------------

  #show(pick = null) {
    if (pick === null) keyed(this.list, picks, (one) => one.id, (one) => pickView(one, picks.length));
    picks.forEach((one, at) => {
      if (pick === null || pick === one) this.list.children[at]?.refresh();
    });
    const studies = picks.reduce((sum, one) => sum + one.decisions.length, 0);
    show(this.tools, studies > 1 || this.tools.isUsed);
    this.drop.classList.toggle("up-small", picks.length > 0);
    this.bar.classList.toggle("up-docked", picks.length > 3 || studies > 8);
    this.place.dataset.preview = picks.length ? (isComplete() ? "complete" : "running") : "none";
    this.#bar();
  }

  #bar() {
    const ready = picks.filter((pick) => !pick.problem);
    const sessions = ready.reduce((sum, pick) => sum + pick.taken.length, 0);
    show(this.bar, picks.length > 0);
    const bytes = ready.reduce((sum, pick) => sum + pick.size, 0);
    const to = options.project() || (options.options.where === "headers" ? "where their headers say" : "…");
    const told = `${plural(ready.length, "archive")}${sessions ? ` of ${plural(sessions, "session")}` : ""}, ${size(bytes)}, to ${to}`;
    set(this.total, ready.length ? told : "Nothing on the list can be sent.");
    this.bar.querySelector("button").disabled = ready.length === 0;
  }

  #moved(one) {
    this.transfers.refresh();
    if (one?.state === "done" || one?.state === "cancelled") forgetKnown();
  }
}
