// The Activity page, live: numbers as they are told, and each change of state by the server's own fragment.

import { activityItem, importAct } from "../addresses.js";
import { subscribe } from "../bus.js";
import { ask, problemOf, root, say, user } from "../site.js";
import { swapping } from "../swapping.js";
import { farOf, Pace, paceOf } from "./figures.js";
import { SILENT } from "./standing.js";
import { listen } from "./stream.js";
import { listenToTabs, stateElsewhere } from "./tabs.js";

const MANY = 5; // changes beyond which the list is read instead of each item
const WAIT_MS = 250;
const SILENT_CHECK_MS = 15_000;

/** Begin on a page, of all imports or of one (`data-one`), which is read as a whole; the answer ends it. */
export function start(main) {
  const page = new Live(main);
  const stop = listen((kind, data) => page.hear(kind, data));
  const forget = subscribe("transfers", (transfers) => page.paused(transfers));
  const endTabs = listenToTabs((kind) => kind === "changed" && page.paused());
  const timer = setInterval(() => page.silent(), SILENT_CHECK_MS);
  const seen = () => page.work();
  main.addEventListener("submit", (event) => page.act(event), true);
  document.addEventListener("visibilitychange", seen);
  return () => {
    stop();
    forget();
    endTabs();
    clearInterval(timer);
    document.removeEventListener("visibilitychange", seen);
    page.ended = true;
  };
}

class Live {
  ended = false;
  #stale = new Set();
  #all = false;
  #working = false;
  #paces = new Map();
  #heard = new Map(); // when bytes of an upload came last
  #connection = "asking"; // to the server's events
  #paused = new Set(); // ids of those that are said to be paused
  transfers = [];

  constructor(main) {
    this.main = main;
    this.list = main.querySelector("#imports");
    this.line = main.querySelector("#live");
    this.#noteSilence();
  }

  /** When bytes came last of the uploads that were just read, by what the server says. */
  #noteSilence(items = this.list.querySelectorAll("[data-silence]")) {
    const now = performance.now();
    for (const { dataset } of items) if (dataset.silence) this.#heard.set(dataset.id, now - Number(dataset.silence));
  }

  hear(kind, data) {
    if (kind === "state") return this.#connected(data);
    if (kind === "begin") return this.#begin(data);
    const item = this.#item(data.id);
    if (kind === "progress") this.#heard.set(data.id, performance.now());
    const isSame = item && kind === "progress" && !("silent" in item.dataset) && item.dataset.state === data.state;
    if (isSame) this.#figures(item, data);
    if (isSame && !("study" in item.dataset)) return; // of a study its page says more than the event does
    if (item) this.#stale.add(data.id);
    else if (this.#belongs(data)) this.#all = true;
    this.work();
  }

  /** Whether an import that is not on the page would stand at its top. */
  #belongs(data) {
    return this.list.dataset.open === "yes" && (data.mine || this.list.dataset.whose === "all");
  }

  #begin({ resumed, imports }) {
    const under = new Set(imports.map((one) => one.id));
    if (!resumed) this.#all = true;
    else
      for (const item of this.list.querySelectorAll("[data-going]"))
        if (!under.has(item.dataset.id) || item.dataset.whose !== user) this.#stale.add(item.dataset.id);
    this.work();
  }

  /** An upload that is paused, in this tab or in another one, was not interrupted. */
  paused(transfers = this.transfers) {
    this.transfers = transfers;
    for (const item of this.list.querySelectorAll("[data-state=receiving]")) {
      const { id } = item.dataset;
      const here = transfers.find((one) => one.id === id)?.state ?? "";
      const isPaused = (here || stateElsewhere(id)) === "paused";
      if (!isPaused && this.#paused.delete(id)) this.#stale.add(id);
      if (!isPaused) continue;
      this.#paused.add(id);
      const badge = item.querySelector(".state");
      [badge.textContent, badge.className] = ["paused", "state held"];
      const words = this.list.querySelector("[data-interrupted]");
      if (words) words.textContent = here ? "Paused in this tab." : "Paused in another tab.";
    }
    this.work();
  }

  /** Read again those of which no byte has come for long: they are interrupted, maybe. */
  silent() {
    const now = performance.now();
    for (const { dataset } of this.list.querySelectorAll("[data-state=receiving]:not([data-silent])")) {
      if (now - (this.#heard.get(dataset.id) ?? now) > SILENT) this.#stale.add(dataset.id);
    }
    this.work();
  }

  #connected(state) {
    this.#connection = state;
    if (state === "asking") return; // nobody knows yet: a page that has just come says nothing wrong
    const words = {
      open: "Live: this page keeps itself up to date.",
      away: "The server does not answer. What is shown stays as it was; it is asked again and again.",
      ended: "You are logged out: what is shown stays as it was.",
    };
    const isOver = "one" in this.list.dataset && this.list.querySelector("[data-going]") === null;
    this.line.hidden = isOver && state === "open"; // what has ended is no more live than any page
    this.line.dataset.now = state;
    if (this.line.textContent !== words[state]) this.line.textContent = words[state];
  }

  #item(id) {
    return document.getElementById(`i-${id}`);
  }

  #figures(item, data) {
    const bar = item.querySelector("progress");
    const stage = item.querySelector("[data-stage]");
    if (!bar || stage.dataset.stage !== data.stage) {
      this.#stale.add(data.id);
      return this.work();
    }
    if (data.bytes.total) {
      bar.max = data.bytes.total;
      bar.value = data.bytes.done;
    }
    item.querySelector("[data-far]").textContent = farOf(data);
    if (!this.#paces.has(data.id)) this.#paces.set(data.id, new Pace());
    item.querySelector("[data-pace]").textContent = paceOf(this.#paces.get(data.id).note(data.stage, data.bytes));
  }

  /** Do what a button asks without leaving the page; the form itself does it where there are no scripts. */
  async act(event) {
    const form = event.target.closest("form[data-act]");
    if (!form) return;
    event.preventDefault();
    event.stopPropagation();
    const { id } = form.closest("[data-id]").dataset;
    const button = form.querySelector("button");
    button.disabled = true;
    const answer = await ask(importAct(id, form.dataset.act), { method: "POST" }).catch(() => null);
    button.disabled = false;
    if (!answer?.ok) say(answer ? await problemOf(answer) : "The server does not answer. Try again.");
    this.#stale.add(id);
    this.work();
  }

  /** Read anew what is stale, one request at a time, while the page is looked at. */
  async work() {
    if (this.#working) return;
    this.#working = true;
    while (!this.ended && !document.hidden && (this.#all || this.#stale.size)) {
      try {
        if (this.#all || this.#stale.size > MANY || "one" in this.list.dataset) await this.#readAll();
        else await this.#read([...this.#stale][0]);
      } catch {
        break; // the server is away: `begin` comes once it is back, and all is read again
      }
      await new Promise((done) => setTimeout(done, WAIT_MS));
    }
    this.#working = false;
  }

  async #readAll() {
    this.#all = false;
    this.#stale.clear();
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (!answer.ok || answer.redirected) return;
    const text = await answer.text();
    if (this.ended) return;
    const found = new DOMParser().parseFromString(text, "text/html").getElementById("imports");
    if (found) await morph(this.list, found);
    this.#noteSilence();
    this.paused();
    this.#connected(this.#connection);
  }

  async #read(id) {
    this.#stale.delete(id);
    const answer = await fetch(root + activityItem(id), { credentials: "same-origin" });
    const item = this.#item(id);
    if (!item || this.ended || answer.redirected) return;
    if (answer.status === 404) return item.remove();
    if (answer.ok) await morph(item, new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(item.id));
    const shown = this.#item(id);
    if (shown) this.#noteSilence([shown]);
    this.paused();
  }
}

/** Let an element become what was read of it; what somebody has opened stays open. */
async function morph(target, read) {
  const htmx = await swapping();
  if (read === null || !htmx) return;
  const nameOf = (one) => `${one.closest("[data-id]")?.dataset.id ?? ""} ${one.querySelector("summary")?.textContent}`;
  const open = new Set([...target.querySelectorAll("details[open]")].map(nameOf));
  for (const one of read.querySelectorAll("details")) if (open.has(nameOf(one))) one.open = true;
  await htmx.swap({ text: read.outerHTML, target, swap: "outerMorph", sourceElement: target });
}
