// The tray on every page: my imports that run, and the uploads of this tab (topic "transfers" of bus.js).

import { ACTIVITY, importAt, UPLOAD } from "../addresses.js";
import { subscribe } from "../bus.js";
import { root } from "../site.js";
import { IMPORTS, isEnded, TRANSFERS } from "../states.js";
import { farOf, plural, size } from "./figures.js";
import { summaries, summaryOf } from "./spoken.js";
import { headingOf, Standing } from "./standing.js";
import { listen } from "./stream.js";
import { listenToTabs, stateElsewhere } from "./tabs.js";

const SHOWN = 8;
const OVER = ["done", "cancelled", "elsewhere"]; // what this tab has nothing to do with any more
const standing = new Standing();
const summarize = summaries();
let transfers = [];
let ended = []; // imports whose end was not said yet
let parts = null;
let timer = null; // until the next upload counts as interrupted

/** Begin; once in a document. */
export function start() {
  subscribe("transfers", (list) => {
    const before = summaryOf(transfers, []);
    transfers = list;
    show();
    if (summaryOf(transfers, []) !== before) speak();
  });
  listenToTabs((kind) => kind === "changed" && show());
  listen((kind, data) => {
    if (kind === "state") return;
    const changed = standing.hear(kind, data);
    show();
    if (!changed || !isEnded(changed.state)) return;
    ended = [...ended, changed];
    speak();
  });
}

/** Say what uploads do and which imports have ended, where the page is seen; at once where nothing is left to come. */
function speak() {
  const isOver = !standing.under.length && transfers.every((one) => OVER.includes(one.state));
  const words = () => {
    const told = document.hidden ? "" : summaryOf(transfers, ended);
    ended = [];
    return told;
  };
  summarize(words, isOver && ended.length > 0);
}

/** The lines of the tray: transfers that go on, imports that run, and what has ended since the tray was looked at. */
function lines() {
  const sent = transfers.filter((one) => !OVER.includes(one.state));
  const sending = sent.map((one) => ({
    key: `t-${one.id}`,
    name: one.name,
    href: root + UPLOAD,
    words: `${TRANSFERS[one.state].word}, ${size(one.sent)} of ${size(one.total)}`,
    counts: one.state === "paused" ? "paused" : "uploads",
    bytes: { done: one.sent, total: one.total },
  }));
  const uploaded = new Set(sent.map((one) => one.id));
  const running = standing.under
    .filter((one) => one.state !== "receiving" || !uploaded.has(one.id))
    .map((one) => {
      const stage = stageOf(one);
      return {
        key: `i-${one.id}`,
        name: one.archive,
        href: root + importAt(one.id),
        words: [stage, one.progress ? farOf(one.progress) : ""].filter(Boolean).join(", "),
        counts: ["interrupted", "paused"].includes(stage) ? stage : "imports",
        bytes: one.progress?.bytes ?? { done: 0, total: null },
      };
    });
  const over = standing.ended.map((one) => ({
    key: `e-${one.id}`,
    name: one.archive,
    href: root + importAt(one.id),
    words: IMPORTS[one.state].says,
    state: one.state,
    bytes: null,
  }));
  return { sending, running, ended: over };
}

/** What an import is at: of an upload of another tab what that says, of one of which no byte comes "interrupted". */
function stageOf(one) {
  if (one.state !== "receiving") return one.progress?.stage ?? IMPORTS[one.state].word;
  const { word } = TRANSFERS[stateElsewhere(one.id)] ?? IMPORTS.receiving;
  return word === IMPORTS.receiving.word && standing.patience(one) === 0 ? "interrupted" : word;
}

function showInTime() {
  clearTimeout(timer);
  const waits = standing.under.map((one) => standing.patience(one)).filter((wait) => wait > 0 && wait < Infinity);
  if (waits.length) timer = setTimeout(show, Math.min(...waits) + 1);
}

function show() {
  showInTime();
  const { sending, running, ended: over } = lines();
  const all = [...sending, ...running, ...over];
  const tray = document.getElementById("tray");
  tray.hidden = all.length === 0;
  if (!all.length) return;
  parts ??= build(tray);
  const counts = { uploads: 0, imports: 0, interrupted: 0, paused: 0 };
  for (const one of [...sending, ...running]) counts[one.counts] += 1;
  set(parts.summary, headingOf(counts) || `${over[0].name} ${over[0].words}`);
  tray.classList.toggle("still", !counts.uploads && !counts.imports);
  parts.clear.hidden = !over.length;
  const rows = new Map([...parts.list.children].map((row) => [row.dataset.key, row]));
  for (const one of all.slice(0, SHOWN)) {
    const row = rows.get(one.key) ?? line(one.key);
    rows.delete(one.key);
    fill(row, one);
    if (row.parentNode !== parts.list) parts.list.append(row);
  }
  for (const gone of rows.values()) gone.remove();
  set(parts.more, all.length > SHOWN ? `and ${plural(all.length - SHOWN, "other")}` : "");
}

function build(tray) {
  const details = make("details");
  const top = make("summary");
  const summary = make("span");
  top.append(summary);
  const list = make("ul");
  const more = make("p", "aside");
  const foot = make("p", "actions");
  const link = make("a");
  link.href = root + ACTIVITY;
  link.textContent = "Activity";
  const clear = make("button", "quiet");
  clear.type = "button";
  clear.textContent = "Forget what has ended";
  clear.addEventListener("click", () => {
    standing.forget();
    top.focus();
    show();
  });
  foot.append(link, clear);
  details.append(top, list, more, foot);
  tray.replaceChildren(details);
  window.htmx?.process(tray);
  return { summary, list, more, clear };
}

function line(key) {
  const row = make("li");
  row.dataset.key = key;
  const link = make("a");
  const words = make("span", "far");
  row.append(link, words);
  return row;
}

function fill(row, one) {
  const [link, words] = row.children;
  set(link, one.name);
  if (link.getAttribute("href") !== one.href) {
    link.setAttribute("href", one.href);
    window.htmx?.process(row);
  }
  set(words, one.words);
  words.className = one.state ? `far ${one.state}` : "far";
  bar(row, one);
}

function bar(row, { name, bytes }) {
  let shown = row.querySelector("progress");
  if (!bytes) return shown?.remove();
  if (!shown) {
    shown = make("progress");
    row.append(shown);
  }
  shown.setAttribute("aria-label", name);
  if (!bytes.total) return shown.removeAttribute("value");
  shown.max = bytes.total;
  shown.value = bytes.done;
}

function make(kind, name = "") {
  const made = document.createElement(kind);
  if (name) made.className = name;
  return made;
}

function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
