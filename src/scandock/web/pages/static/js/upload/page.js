// The upload page: what is chosen is looked into, named, and sent; what was cut is gone on with.

import { plural, size } from "../live/figures.js";
import { say } from "../site.js";
import { clashes, clashWords } from "./clashes.js";
import { button, keyed, make, set, show } from "./dom.js";
import { fileInputs, takeDrops } from "./inputs.js";
import { labelsTools } from "./labels_view.js";
import { letters } from "./letters.js";
import { writeMapping } from "./mapping_csv.js";
import { shown } from "./names.js";
import { ELSEWHERE, notIt } from "./not_taken.js";
import * as options from "./options.js";
import { pickView } from "./picks_view.js";
import { add, forgetKnown, isComplete, onPicks, picks, remove, settleAll } from "./picks.js";
import { begin, onTransfers, transfers } from "./transfers.js";
import { transfersView } from "./transfers_view.js";
import { Unfinished } from "./unfinished.js";
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
  #wanted = null; // what a file is chosen for again: {transfer} or {upload}, an unfinished one

  constructor(main) {
    this.form = main.querySelector("#upload");
    this.drop = main.querySelector("#drop");
    this.refused = make("ul", { class: "up-refused" });
    this.list = make("div");
    this.place = main.querySelector("#picks");
    this.tools = labelsTools(say);
    const folding = (words, open) => button(words, () => [...this.list.children].forEach((one) => one.unfold(open)), { kind: "quiet" });
    this.folds = make("p", { class: "actions up-folds", hidden: true }, folding("Open all", true), folding("Fold all", false));
    this.problem = make("p", { class: "problem", role: "alert", hidden: true });
    this.total = make("span");
    this.clash = make("strong", { class: "up-clash" });
    const told = make("span", { class: "grow" }, this.total, " ", this.clash);
    this.bar = make("div", { class: "bar" }, told, make("button", { class: "primary", id: "start" }, "Upload"));
    this.transfers = transfersView((transfer) => this.#again({ transfer }));
    const choose = (upload) => this.#again({ upload });
    const known = async (one) => (await this.#known(one)) !== "";
    this.unfinished = new Unfinished({ choose, known, add: (one) => add([one]), after: () => this.chooser.focus() });
    main.querySelector("#transfers").append(this.transfers);
    main.querySelector("#unfinished").append(this.unfinished.element);
    this.place.append(make("div", { role: "alert" }, this.refused), this.tools, this.folds, this.list, this.problem, this.bar);
  }

  begin() {
    options.begin(this.form);
    Object.assign(this, fileInputs(this.form, (found) => this.#chosen(found), () => this.#forget()));
    this.form.addEventListener("submit", (event) => this.#submit(event));
    this.form.addEventListener("keydown", entered);
    this.form.addEventListener("change", (event) => this.#changed(event));
    this.form.addEventListener("input", (event) => event.target.name === "project" && this.#changed(event));
    const ends = [
      onPicks((pick) => this.#show(pick)),
      onTransfers((one) => this.#moved(one)),
      takeDrops(this.drop, (found) => this.#dropped(found)),
      () => this.unfinished.end(),
    ];
    const { seen } = this.unfinished;
    document.addEventListener("visibilitychange", seen);
    ends.push(() => document.removeEventListener("visibilitychange", seen));
    this.#said();
    settleAll();
    this.#show();
    this.transfers.refresh();
    this.unfinished.look();
    warm();
    void letters();
    return () => ends.forEach((end) => end());
  }

  #dropped(found) {
    this.#forget();
    return this.#chosen(found);
  }

  #forget() {
    this.#wanted = null;
  }

  /** What was chosen: known uploads go on, and all else is looked into, unless one certain file was to be chosen. */
  async #chosen({ picks: chosen, refused: unusable, tables }) {
    const wanted = this.#wanted;
    this.#forget();
    const [fresh, refused] = [[], [...unusable]];
    for (const one of chosen) {
      const is = await this.#known(one, wanted);
      if (is === "elsewhere") refused.push({ name: one.name, why: ELSEWHERE });
      else if (!is) fresh.push(one);
    }
    keyed(this.refused, refused, ({ name, why }) => name + why, ({ name, why }) => make("li", { class: "problem" }, make("strong", {}, shown(name)), ` ${why}`));
    const strange = wanted ? fresh.splice(0) : [];
    add(fresh);
    this.#reveal(fresh.length);
    const told = [this.#strange(wanted, strange), fresh.length ? `${plural(fresh.length, "archive")} on the list.` : "", refused.length ? `${plural(refused.length, "file")} not taken.` : ""].filter(Boolean);
    if (told.length) say(told.join(" "));
    for (const one of tables) await this.tools.read(one);
  }

  /** Bring what was added into view: at least the beginning of the first of them. */
  #reveal(count) {
    const first = this.list.children[picks.length - count];
    if (count && first.getBoundingClientRect().top > innerHeight - 200) this.place.scrollIntoView({ block: "start" });
  }

  /** Say, beside what a file was chosen for, that others are not it; gives it in words, "" where there are none. */
  #strange(wanted, strange) {
    if (!strange.length) return "";
    const words = notIt(wanted.upload?.filename ?? wanted.transfer.name, strange);
    if (wanted.upload) this.unfinished.tell(wanted.upload, words);
    else wanted.transfer.refuse(words);
    return words;
  }

  /** Whether it is one that was cut, here or before, and goes on now: "taken", "elsewhere" (another tab sends it) or "". */
  async #known(one, wanted = null) {
    const stopped = wanted?.transfer ?? transfers.find((two) => two.state === "stopped" && two.name === one.name);
    if (!stopped && !this.unfinished.open.length) return "";
    const tar = one.files ? await compose(one.files.map(({ path, file }) => ({ path, file }))) : null;
    const blob = tar?.blob ?? one.file;
    if (!stopped && !this.unfinished.mayBe(blob.size)) return "";
    const known = await print(blob, tar?.modified ?? one.file.lastModified);
    if (stopped && stopped.print === known) {
      stopped.replace(one);
      stopped.resume();
      return "taken";
    }
    return this.unfinished.take(one, known);
  }

  #again(wanted) {
    this.#wanted = wanted;
    (wanted.transfer?.files ? this.folder : this.files).click();
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
    show(this.folds, picks.length > 1);
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
    const to = options.project() || (options.options.where === "headers" ? "where their headers say" : "");
    const where = to ? `to ${to}` : "no project named yet";
    const told = `${plural(ready.length, "archive")}${sessions ? ` of ${plural(sessions, "session")}` : ""}, ${size(bytes)}, ${where}`;
    set(this.total, ready.length ? told : "Nothing on the list can be sent.");
    set(this.clash, clashWords(clashes()));
    this.bar.querySelector("button").disabled = ready.length === 0;
  }

  #moved(one) {
    this.transfers.refresh();
    this.unfinished.refresh();
    if (one?.state === "done" || one?.state === "cancelled") forgetKnown();
  }
}
