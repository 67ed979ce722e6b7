// The header of the image that is shown, beside it: fetched once one stops moving, with a filter over all its elements.

import { fileHeader } from "../addresses.js";
import { answerOf, ask, reasonOf } from "../site.js";

const STILL_MS = 300; // for so long the same image has to be shown
const MOST_KEPT = 24;
const MOST_ROWS = 1500;
const DEEPEST = 8; // of the style sheet's indents

export class HeaderPanel {
  #kept = new Map(); // file -> its header; the first one was used longest ago
  #waiting = 0;
  #control = null;
  #file = null; // whose header is wanted
  #shown = null; // whose is shown
  #title = "";
  #rows = []; // each with the text that the filter looks at
  #sizes = null;
  #ending = new AbortController();

  /** `parts` of the viewer; `api`: the session's address in the API. */
  constructor(parts, api) {
    this.parts = parts;
    this.api = api;
    const { beside, "header-toggle": toggle, "header-filter": filter } = parts;
    const { signal } = this.#ending;
    toggle.addEventListener("click", () => {
      const open = beside.classList.toggle("open");
      toggle.setAttribute("aria-expanded", String(open));
    }, { signal });
    let before = this.#visible;
    this.#sizes = new ResizeObserver(() => {
      if (this.#visible && !before) this.#soon(0); // it was opened, or the window grew
      before = this.#visible;
    });
    this.#sizes.observe(parts["header-body"]);
    filter.addEventListener("input", () => this.#draw(), { signal });
  }

  /** Follow to an image of a file, which is called `title`. */
  follow(file, title) {
    this.#title = title;
    this.#file = file;
    if (file === this.#shown) this.#call();
    else this.#soon(STILL_MS);
  }

  get #visible() {
    return this.parts["header-body"].offsetParent !== null;
  }

  #soon(wait) {
    clearTimeout(this.#waiting);
    if (this.#visible && this.#file !== null && this.#file !== this.#shown) {
      this.#waiting = setTimeout(() => this.#load(this.#file), wait);
    }
  }

  async #load(file) {
    this.#control?.abort();
    const control = (this.#control = new AbortController());
    try {
      const header = this.#kept.get(file) ?? (await this.#fetch(file, control.signal));
      this.#keep(file, header);
      if (file !== this.#file || control.signal.aborted) return;
      this.#show(file, header);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.#show(null, { rows: [], note: "", reason: `The header can't be loaded. ${reasonOf(error)}` });
    }
  }

  async #fetch(file, signal) {
    const response = await ask(fileHeader(this.api, file), { signal });
    return answerOf(response);
  }

  #keep(file, header) {
    if (header.reason) return; // it may be better the next time
    this.#kept.delete(file);
    this.#kept.set(file, header);
    if (this.#kept.size > MOST_KEPT) this.#kept.delete(this.#kept.keys().next().value);
  }

  #show(file, header) {
    this.#shown = file;
    this.#rows = header.rows.map((row) => ({ row, text: textOf(row) }));
    const about = this.parts["header-note"];
    about.textContent = [header.reason, header.note].filter(Boolean).join(" ");
    about.hidden = !about.textContent;
    this.#call();
    this.#draw();
  }

  #call() {
    this.parts["header-of"].textContent = this.#title;
  }

  #draw() {
    const { "header-rows": body, "header-filter": filter, "header-more": more } = this.parts;
    const wanted = filter.value.trim().toLowerCase();
    const rows = wanted ? this.#rows.filter(({ text }) => text.includes(wanted)) : this.#rows;
    body.replaceChildren(...rows.slice(0, MOST_ROWS).map(({ row }) => drawn(row)));
    const hidden = rows.length - MOST_ROWS;
    more.hidden = rows.length > 0 && hidden <= 0;
    if (hidden > 0) more.textContent = `${hidden.toLocaleString("en")} more elements. Filter to find them.`;
    else more.textContent = wanted && this.#rows.length ? `No element has “${filter.value.trim()}”.` : "";
  }

  end() {
    clearTimeout(this.#waiting);
    this.#control?.abort();
    this.#sizes.disconnect();
    this.#ending.abort();
  }
}

/** What the filter looks at: a tag also as people type it, without its brackets. */
function textOf([, tag, name, vr, value]) {
  const plain = tag.replace(/[(),]/g, "");
  return [tag, plain, name, vr, value].join("\n").toLowerCase();
}

function drawn([depth, tag, name, vr, value]) {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.className = `d${Math.min(depth, DEEPEST)}`;
  const code = document.createElement("code");
  code.textContent = `${tag} ${vr}`.trim();
  head.append(name, " ", code);
  const cell = document.createElement("td");
  cell.className = "value";
  cell.textContent = value;
  row.append(head, cell);
  return row;
}
