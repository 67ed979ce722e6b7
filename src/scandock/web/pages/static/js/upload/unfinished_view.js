// The panel of uploads that the server has in part: those that were cut, and those that are being sent elsewhere.

import { importAt } from "../addresses.js";
import { size } from "../live/figures.js";
import { root } from "../site.js";
import { minute } from "../times.js";
import { askingButtons, button, keyed, make, set, show } from "./dom.js";
import { shown } from "./names.js";
import { questionOf } from "./not_taken.js";
import { projectOrNone } from "./options.js";

const LOST = "What the server has of it is deleted.";

/** `acts`: {choose, goOn, here, discard}. Those whose bytes are all there need no file: the page has them imported, which
 * `finished` ones say; `receiving` ones are left alone, as some other tab or browser sends them, but for those of which what
 * this page sent before it was loaded still comes (`isOwn`).
 */
export function unfinishedView(acts) {
  const list = make("ul", { class: "up-list" });
  const title = make("h2", { id: "h-unfinished" });
  const help = make("p", { class: "help" }, "Choose the same file or folder again, by the button or by dropping it on this page: the upload goes on where it stopped.");
  const element = make("section", { class: "panel", "aria-labelledby": "h-unfinished", hidden: true }, title, help, list);
  element.refresh = (items, held, told, asked) => {
    show(element, items.length > 0);
    const cut = items.some(isCut);
    set(title, cut ? "Not finished" : items.some((one) => !one.finished) ? "Uploading elsewhere" : "Finished now");
    show(help, cut);
    keyed(list, items, (one) => one.id, (one) => unfinishedRow(one, acts));
    for (const row of list.children) {
      const { key } = row.dataset;
      row.refresh(items.find((one) => one.id === key), { isHeld: held.has(key), told: told.get(key) ?? "", isAsked: asked.has(key) });
    }
  };
  /** Bring the one of this id into view, with its first button ready to be pressed. */
  element.reveal = (id) => {
    const row = [...list.children].find((child) => child.dataset.key === id);
    row?.scrollIntoView({ block: "center" });
    row?.querySelector("button:not([hidden])")?.focus();
  };
  return element;
}

function unfinishedRow(one, acts) {
  const called = shown(one.filename);
  const far = make("span", { class: "meta" });
  const why = make("p", { class: "up-why", hidden: true });
  const bar = make("progress", { "aria-label": `How much of ${called} is on the server` });
  const goOn = button("Go on", () => acts.goOn(one), { kind: "primary", of: called });
  const here = button("Go on here", () => acts.here(one), { kind: "primary", of: called });
  const choose = button("Choose it again", () => acts.choose(one), { of: called });
  const discarding = askingButtons("Discard", () => acts.discard(one), { question: LOST, yes: "Discard it", no: "Keep it", kind: "danger", of: called });
  const watch = make("a", { class: "button", href: root + importAt(one.id), hidden: true }, "Details");
  const row = make(
    "li",
    { class: "up-cut" },
    make("div", { class: "head" }, make("strong", {}, called), make("span", { class: "meta" }, `begun ${minute(one.created)}${one.project ? ` · to ${one.project}` : ""}`)),
    bar,
    far,
    why,
    make("p", { class: "actions" }, here, goOn, choose, ...discarding.elements, watch),
  );
  row.refresh = (now, { isHeld, told, isAsked }) => {
    const asks = isAsked && !now.finished;
    const question = asks ? questionOf(now, projectOrNone()) : "";
    const cut = isCut(now);
    bar.max = Math.max(now.size, 1);
    bar.value = now.arrived;
    show(here, asks);
    show(goOn, isHeld && cut && !asks);
    show(choose, cut && !asks);
    discarding.allow(cut);
    show(watch, Boolean(now.finished));
    show(why, Boolean(question || told));
    set(why, question || told);
    set(far, farOf(now));
  };
  return row;
}

/** Whether it goes on once its file is chosen here. */
const isCut = ({ finished, receiving, isOwn }) => !finished && (!receiving || isOwn);

function farOf(now) {
  if (now.finished) return `${size(now.size)}. All of it was on the server already: its import goes on by itself.`;
  const far = `${size(now.arrived)} of ${size(now.size)}`;
  if (now.receiving && now.isOwn) return `${far} · what this page sent before is still arriving`;
  if (now.receiving) return `${far} · is being uploaded from another tab or browser`;
  if (now.elsewhere === "paused") return `${far} · paused in another tab`;
  return `${far}${now.expires ? ` · kept until ${minute(now.expires)}` : ""}`;
}
