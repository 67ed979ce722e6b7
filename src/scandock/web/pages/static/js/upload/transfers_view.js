// Uploads on their way, with bars, speed and what can be done.

import { importAt, LOGIN } from "../addresses.js";
import { left, size } from "../live/figures.js";
import { root } from "../site.js";
import { button, keyed, make, set, show } from "./dom.js";
import { headingOf } from "./heading.js";
import { shown } from "./names.js";
import { clear, transfers } from "./transfers.js";

const WORDS = {
  waiting: "waits for its turn",
  running: "uploading",
  "held up": "held up",
  paused: "paused",
  stopped: "stopped",
  done: "on the server",
  cancelled: "cancelled",
};
const STATE = { waiting: "", running: "running", "held up": "held", paused: "held", stopped: "failed", done: "placed", cancelled: "" };

/** The panel of all uploads of this document; `choose` asks for a file again. */
export function transfersView(choose) {
  const title = make("h2", { id: "h-transfers" });
  const list = make("ul", { class: "up-list" });
  const tidy = button("Clear the finished", () => {
    clear();
    title.focus();
  }, { kind: "quiet" });
  const element = make("section", { class: "panel", "aria-labelledby": "h-transfers", hidden: true }, title, list, make("p", { class: "actions" }, tidy));
  title.tabIndex = -1;
  element.refresh = () => {
    show(element, transfers.length > 0);
    set(title, headingOf(transfers));
    keyed(list, transfers, (one) => one.id, (one) => rowOf(one, choose));
    for (const row of list.children) row.refresh();
    show(tidy, transfers.some((one) => one.isOver));
  };
  return element;
}

function rowOf(one, choose) {
  const called = shown(one.name);
  const name = make("strong");
  const state = make("span");
  const bar = make("progress", { "aria-label": `How much of ${called} is on the server` });
  const far = make("span", { class: "meta" });
  const why = make("p", { class: "up-why" });
  const pause = button("Pause", () => one.pause(), { of: called });
  const resume = button("Go on", () => (one.state === "held up" ? one.wake() : one.resume()), { of: called });
  const anew = button("Send it anew", () => one.resume({ anew: true }), { of: called });
  const again = button("Choose it again", () => choose(one), { of: called });
  const login = make("a", { class: "button", href: root + LOGIN, target: "_blank", "hx-boost": "false" }, "Log in");
  const cancel = button("Cancel", () => one.cancel(), { kind: "quiet", of: called });
  const watch = make("a", { class: "button" }, "Watch its import");
  const actions = make("p", { class: "actions" }, pause, resume, anew, again, login, watch, cancel);
  const row = make("li", { class: "up-transfer" }, make("div", { class: "head" }, name, state), bar, far, why, actions);
  set(name, called);
  row.refresh = () => {
    set(state, WORDS[one.state]);
    state.className = `state ${STATE[one.state]}`;
    bar.max = Math.max(one.total, 1);
    bar.value = one.state === "done" ? bar.max : one.sent;
    show(bar, one.state !== "cancelled");
    set(far, farOf(one));
    const told = one.state === "stopped" || one.state === "held up" ? one.why : "";
    show(why, Boolean(told));
    set(why, told);
    const focused = actions.contains(document.activeElement) ? document.activeElement : null;
    show(pause, ["waiting", "running", "held up"].includes(one.state));
    show(resume, one.state === "paused" || one.state === "held up" || (one.state === "stopped" && one.remedy !== "anew"));
    show(anew, one.remedy === "anew");
    show(again, one.state === "stopped" && !one.remedy);
    show(login, one.remedy === "login");
    show(cancel, !one.isOver);
    show(watch, one.state === "done");
    if (one.state === "done" && !watch.href) {
      watch.href = root + importAt(one.upload);
      window.htmx?.process(row);
    }
    if (focused?.hidden) [...actions.children].find((child) => !child.hidden)?.focus();
  };
  return row;
}

function farOf(one) {
  if (one.state === "done") return `${size(one.total)}. The page may be left: the import goes on by itself.`;
  if (one.state === "cancelled") return "";
  const told = [`${size(one.sent)} of ${size(one.total)}`];
  if (one.state === "running" && one.speed) {
    told.push(`${size(one.speed.rate)}/s`);
    if (one.speed.left !== null) told.push(left(one.speed.left));
  }
  return told.join(" · ");
}
