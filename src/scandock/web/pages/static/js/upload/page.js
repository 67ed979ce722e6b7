// The upload page: what is chosen is looked into, named, sent, and followed until its sessions are where they belong.

import { plural } from "../live/figures.js";
import { isSentElsewhere } from "../live/tabs.js";
import { say, user } from "../site.js";
import { afterReload } from "./after_reload.js";
import { button, keyed, make, set, show } from "./dom.js";
import { takeHere, watchElsewhere } from "./elsewhere.js";
import { gridOf } from "./grid.js";
import { invalidWords } from "./label_changes.js";
import { labelsTools } from "./labels_view.js";
import { keepProject, lastProject } from "./last_project.js";
import { letters } from "./letters.js";
import { briefLikeness, likenessOf } from "./likeness.js";
import { listView } from "./list_view.js";
import { writeMapping } from "./mapping_csv.js";
import { shown } from "./names.js";
import { ELSEWHERE, notIt, ON_THE_LIST } from "./not_taken.js";
import * as options from "./options.js";
import { change, lookAgain } from "./outcomes.js";
import { add, archives, foreseeAll, forgetKnown, isComplete, onPicks, picks, remove, sent, settleAll } from "./picks.js";
import { removedWords } from "./privacy.js";
import { askProjects, onProjects } from "./projects.js";
import { isOver } from "./totals.js";
import { totalView } from "./total_view.js";
import { begin, changed, forget, onTransfers, transfers } from "./transfers.js";
import { Unfinished } from "./unfinished.js";
import { compose, print, stopPictures, warm } from "./worker_client.js";

const SECOND = 1000;
const FRESH = 30 * SECOND; // how long what became of sessions counts as known, while the page is seen

/** Begin, with the files that were chosen before (`early`); gives what ends it when one moves on. Transfers and what was
 * chosen live on. */
export function start(main, early) {
  const page = new Page(main, early);
  return page.begin();
}

const isEntered = ({ key, isComposing, target }) => key === "Enter" && !isComposing && target.tagName === "INPUT" && target.type !== "file";

class Page {
  #wanted = null; // what a file is chosen for: {transfer} or {upload} to go on with, or {instead} of an archive
  #stale = new Set(); // archives that are to be shown anew; null for the list
  #timer = null;

  constructor(main, early) {
    this.early = early;
    this.form = main.querySelector("#upload");
    this.drop = main.querySelector("#drop");
    this.settings = main.querySelector("#settings");
    this.refusals = []; // {name, why} of what can't be sent
    this.refused = make("ul", { class: "up-refused" });
    this.place = main.querySelector("#picks");
    this.tools = labelsTools(say);
    this.list = listView(this.#acts());
    this.grid = gridOf(this.list, say);
    this.total = totalView({
      more: () => this.#more(),
      retry: (transfer) => (transfer.import ? this.#change(transfer, "retry") : transfer.resume()),
      cancel: (transfer) => transfer.cancel(),
      leaveOut: (twice) => {
        remove(...twice.filter((pick) => archives.includes(pick) && pick.transfer === null));
        this.#flush();
      },
      notTaken: () => this.refusals.filter(({ why }) => ![ON_THE_LIST, ELSEWHERE].includes(why)).length,
    });
    const choose = (upload) => this.#choose({ upload });
    const known = async (one, upload) => (await this.#known(one, { upload })) !== "";
    this.unfinished = new Unfinished({ choose, known, add: (one) => add([one]), after: () => this.chooser.focus() });
    this.before = afterReload({ form: this.form, chosen: (found) => this.#chosen(found), said: () => this.#said(), after: () => this.chooser.focus() });
    main.querySelector("#unfinished").append(this.before, this.unfinished.element);
    this.place.append(make("div", { role: "alert" }, this.refused), this.tools, this.grid, this.list, this.total);
  }

  /** What the buttons of an archive do, by the keys of ACTS in states.js. */
  #acts() {
    return {
      remove: (pick) => this.#remove(pick),
      pause: ({ transfer }) => transfer.pause(),
      resume: ({ transfer }) => transfer.resume(),
      here: ({ transfer }) => takeHere(transfer),
      retry: ({ transfer }) => transfer.resume(),
      now: ({ transfer }) => transfer.wake(),
      again: (pick) => this.#again(pick),
      choose: ({ transfer }) => this.#choose({ transfer }),
      cancel: ({ transfer }) => transfer.cancel(),
      stop: ({ transfer }) => this.#change(transfer, "cancel"),
      repeat: ({ transfer }) => this.#change(transfer, "retry"),
      another: (pick) => this.#choose({ instead: pick }),
    };
  }

  begin() {
    options.begin(this.form, lastProject(user));
    this.isAsking = this.settings.open && "asks" in this.settings.dataset;
    if (options.project()) this.#fold();
    Object.assign(this, this.early.inputs);
    this.form.addEventListener("submit", (event) => this.#submit(event));
    this.form.addEventListener("keydown", (event) => this.#entered(event));
    this.form.addEventListener("change", (event) => this.#changed(event));
    this.form.addEventListener("input", (event) => event.target.name === "project" && this.#named(event));
    this.settings.addEventListener("toggle", () => !this.settings.open && (this.isAsking = false));
    const ends = [
      onPicks((pick) => this.#show(pick)),
      onProjects(() => this.#others()),
      onTransfers((one, turn) => this.#moved(one, turn)),
      this.early.connect({ chosen: (found) => this.#chosen(found), dropped: (found) => this.#dropped(found), forget: () => this.#forget() }),
      () => this.unfinished.end(),
      () => clearInterval(this.#timer),
    ];
    const leaves = ({ type, key, target }) => (type === "click" || key === "Tab") && !this.settings.contains(target) && this.#fold();
    for (const name of ["click", "keyup"]) {
      document.addEventListener(name, leaves); // once what was clicked has had its click: folding moves all below
      ends.push(() => document.removeEventListener(name, leaves));
    }
    const fresh = () => {
      if (document.visibilityState !== "visible") return;
      if (picks.length) void askProjects();
      void lookAgain(transfers, changed);
    };
    const timer = setInterval(fresh, FRESH);
    ends.push(() => clearInterval(timer));
    for (const seen of [this.unfinished.seen, fresh]) {
      document.addEventListener("visibilitychange", seen);
      ends.push(() => document.removeEventListener("visibilitychange", seen));
    }
    this.#said();
    settleAll();
    this.#show(null);
    this.unfinished.look();
    void this.before.begin();
    void lookAgain(transfers, changed);
    watchElsewhere();
    warm();
    void letters();
    return () => ends.forEach((end) => end());
  }

  // -- what is chosen ------------------------------------------------------------------------------------------------

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
    const [fresh, refused, asked] = [[], [...unusable], []];
    const listed = new Set(archives.filter(({ transfer }) => transfer === null || !isOver(transfer)).map((one) => one.likeness));
    for (const one of chosen) {
      const is = await this.#known(one, wanted);
      const likeness = likenessOf(one);
      if (is === "elsewhere") refused.push({ name: one.name, why: ELSEWHERE });
      else if (is === "asked") asked.push(`${shown(one.name)}: ${this.unfinished.questionAbout(one)}`);
      else if (!is && listed.has(likeness)) refused.push({ name: one.name, why: ON_THE_LIST });
      else if (!is) fresh.push(one);
      listed.add(likeness);
    }
    const names = new Set([...chosen, ...refused].map(({ name }) => name));
    this.#refuse([...this.refusals.filter(({ name, why }) => !names.has(name) && why !== ON_THE_LIST), ...refused]);
    const strange = wanted && !wanted.instead ? fresh.splice(0) : [];
    const added = fresh.length ? add(fresh, wanted?.instead ?? null) : [];
    if (added.length && options.project()) this.#fold();
    if (added.length && wanted?.instead?.transfer) forget([wanted.instead.transfer]);
    this.#flush();
    this.#reveal(added);
    if (added.length && options.problem()) void askProjects();
    const told = [...asked, this.#strange(wanted, strange), fresh.length ? `${plural(fresh.length, "archive")} on the list.` : "", refused.length ? `${plural(refused.length, "file")} not taken.` : ""].filter(Boolean);
    if (told.length) say(told.join(" "));
    for (const one of tables) await this.tools.read(one);
  }

  /** Say what can't be sent, until it is taken off the list or chosen again. */
  #refuse(refusals) {
    this.refusals = refusals;
    keyed(this.refused, refusals, ({ name, why }) => name + why, (one) => {
      const off = button("Remove", () => this.#refuse(this.refusals.filter((other) => other.name !== one.name || other.why !== one.why)), { kind: "quiet", of: shown(one.name) });
      return make("li", { class: "problem" }, make("strong", {}, shown(one.name)), ` ${one.why} `, off);
    });
    this.#bar();
  }

  /** Bring what was added into view: at least the beginning of the first of them. */
  #reveal([first]) {
    const row = first && this.list.first(first);
    if (row && row.getBoundingClientRect().top > innerHeight - 200) row.scrollIntoView({ block: "center" });
  }

  /** Say, beside what a file was chosen for, that others are not it; gives it in words, "" where there are none. */
  #strange(wanted, strange) {
    if (!strange.length) return "";
    const words = notIt(wanted.upload?.filename ?? wanted.transfer.name, strange);
    if (wanted.upload) this.unfinished.tell(wanted.upload, words);
    else wanted.transfer.refuse(words);
    return words;
  }

  /** Whether it is one that was cut, here or before, and goes on now: "taken", "elsewhere" (another browser sends it),
   * "asked" (another tab has it, or it goes into another project, and it is asked whether it goes on here) or "". */
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
    return this.unfinished.take(one, known, wanted?.upload ?? null);
  }

  #choose(wanted) {
    this.#wanted = wanted;
    (wanted.transfer?.files ? this.folder : this.files).click();
  }

  #remove(pick) {
    const at = archives.indexOf(pick);
    remove(pick);
    this.#flush();
    const next = archives[at] ?? archives.at(-1);
    const focus = next && this.list.first(next).querySelector("button:not([hidden])");
    (focus ?? this.chooser).focus();
  }

  // -- the form ------------------------------------------------------------------------------------------------------

  #changed({ target }) {
    if (!target.name) return;
    options.read(this.form);
    if (options.project() && !options.problem()) keepProject(user, options.project());
    this.#said();
    this.unfinished.refresh();
    settleAll();
    this.#show(null);
  }

  /** One may upload to other projects now. */
  #others() {
    this.#said();
    settleAll();
    this.#show(null);
  }

  /** A project is being typed, or was picked among those that are offered, which is all that was to be done. */
  #named(event) {
    this.#changed(event);
    if (event.inputType === "insertReplacementText") this.#fold({ isDone: true });
  }

  /** Enter in a field takes what is written there, and begins no upload. */
  #entered(event) {
    if (!isEntered(event)) return;
    event.preventDefault();
    if (["checkbox", "radio"].includes(event.target.type)) return;
    event.target.dispatchEvent(new Event("change", { bubbles: true }));
    if (event.target.name === "project") this.#fold({ isDone: true });
  }

  /** Fold the settings to their line once nothing is missing there: where the page had opened them, or all `isDone`. */
  #fold({ isDone = false } = {}) {
    if (options.problem() || !(isDone || this.isAsking)) return;
    const isWithin = this.settings.contains(document.activeElement);
    this.settings.open = false;
    if (isWithin) this.settings.querySelector("summary").focus();
  }

  /** What the chosen project does, and the choices in a few words. */
  #said() {
    const does = options.does();
    const is = this.form.querySelector("#project-is");
    const unknown = options.project() && !options.isBeginning(options.project()) ? options.problem() : "";
    if (is) set(is, does ? `By default ${does}.` : unknown);
    is?.classList.toggle("problem", unknown !== "");
    const own = this.form.querySelector("#project-does");
    set(own, does ? `Project default: ${does}` : "Project default");
    const into = this.form.querySelector("#settings-into");
    set(into, options.into());
    into.classList.toggle("up-wrong", unknown !== "");
    set(this.form.querySelector("#settings-are"), options.summary());
    if (options.problem() && !options.project()) this.settings.open = this.isAsking = true;
    const removed = removedWords();
    set(this.form.querySelector("#removed-is"), removed);
    show(this.form.querySelector("#removed"), removed !== "");
    show(this.form.querySelector("#kept"), removed === "");
  }

  #submit(event) {
    event.preventDefault();
    const ready = archives.filter((pick) => pick.transfer === null && !pick.problem);
    if (options.problem() || !ready.length || invalidWords(ready)) return;
    const twice = ready.filter((pick) => !pick.isAgain && isSentElsewhere(briefLikeness(pick)));
    if (twice.length) return this.total.ask(twice);
    foreseeAll();
    stopPictures();
    for (const pick of ready) {
      const rows = pick.rowsToSend();
      const { name, file, files, handle } = pick;
      const after = [...pick.follows].map(({ transfer }) => transfer).filter(Boolean);
      sent(pick, begin({ name, file, files, handle, fields: options.fields(), mapping: rows.length ? writeMapping(rows) : "" }, after));
    }
    this.settings.open = false;
    if (options.project()) keepProject(user, options.project());
    this.#flush();
    return this.total.querySelector("#h-transfers").focus();
  }

  /** Start an upload again with its settings; one of which these are not known here, or were refused, is on the list as a
   * new one. */
  #again(pick) {
    const { transfer } = pick;
    const { name, file, files, handle, isFromBefore, isRefused } = transfer;
    if (!isFromBefore && !isRefused) return transfer.resume({ anew: true });
    if (isRefused) void transfer.cancel(); // what the server has of it goes
    forget([transfer]);
    const added = add([{ name, file, files, handle, edits: pick.edits }], pick);
    this.#flush();
    return this.#reveal(added);
  }

  async #change(transfer, act) {
    const problem = await change(transfer, act, changed);
    if (problem) transfer.refuse(problem);
  }

  /** "Upload more": what is over, or can't be uploaded, goes from the list, and the settings stay. */
  #more() {
    const over = archives.filter(({ transfer, problem }) => (transfer === null ? problem : isOver(transfer)));
    forget(over.map(({ transfer }) => transfer).filter(Boolean));
    remove(...over);
    this.#refuse([]);
    this.#flush();
    this.chooser.focus();
    this.drop.scrollIntoView({ block: "nearest" });
  }

  // -- what is shown -------------------------------------------------------------------------------------------------

  /** Show an archive anew, or (null) the whole list, once for all that changes in one go. */
  #show(pick) {
    if (!this.#stale.size) queueMicrotask(() => this.#flush());
    this.#stale.add(pick);
  }

  #flush() {
    const stale = [...this.#stale];
    this.#stale.clear();
    if (stale.length > 1 || stale.includes(null)) this.list.refresh(null);
    else if (stale.length) this.list.refresh(stale[0]);
    const studies = picks.reduce((sum, one) => sum + one.decisions.length, 0);
    show(this.tools, studies > 1 || this.tools.isUsed);
    this.tools.refresh();
    this.grid.refresh();
    this.drop.classList.toggle("up-small", archives.length > 0);
    this.before.keep();
    this.place.dataset.preview = picks.length ? (isComplete() ? "complete" : "running") : "none";
    this.#bar();
  }

  #bar() {
    this.total.refresh();
    const isCounting = transfers.some((one) => one.retryAt !== null);
    if (isCounting && this.#timer === null) this.#timer = setInterval(() => this.#tick(), SECOND);
    if (!isCounting && this.#timer !== null) this.#timer = clearInterval(this.#timer) ?? null;
  }

  /** One second less until an upload is tried again. */
  #tick() {
    for (const pick of archives.filter(({ transfer }) => (transfer?.retryAt ?? null) !== null)) this.list.refreshHead(pick);
  }

  #moved(transfer, turn) {
    const pick = archives.find((one) => one.transfer === transfer);
    if (turn && pick) this.#show(pick);
    else if (pick) this.list.refreshHead(pick);
    this.#bar();
    this.unfinished.refresh();
    if (turn && transfer && isOver(transfer)) forgetKnown();
    if (turn && (transfer?.state === "stopped" || options.problem())) void askProjects(); // a role was lost, or given again
  }
}
