// The bar below the list: what Upload would send, how far all of it is, and at the end what came of it, to be copied.

import { prearchiveOf, projectAt } from "../addresses.js";
import { left, plural, size } from "../live/figures.js";
import { root, say } from "../site.js";
import { askingButtons, button, keyed, make, set, show } from "./dom.js";
import { headingOf } from "./heading.js";
import { invalidWords } from "./label_changes.js";
import { UNASSIGNED } from "./labels.js";
import { shown } from "./names.js";
import { problem } from "./options.js";
import { archives, picks } from "./picks.js";
import { bytesOf, isOver, outcomesOf, outcomeWords, readyWords, TotalPace } from "./totals.js";
import { transfers } from "./transfers.js";

const STILL = ["waiting", "running", "held up"];

/** An element with `refresh()`. `acts`: {more()} for "Upload more", {retry(transfer)}, {cancel(transfer)}, {leaveOut(archives)}, {notTaken()}:
 * how many files that were chosen are none that can be uploaded. */
export function totalView(acts) {
  const pace = new TotalPace();
  const ready = make("span", { class: "grow up-ready-words" });
  const reason = make("span", { class: "up-reason", id: "up-reason" });
  const start = make("button", { class: "primary", id: "start", "aria-describedby": "up-reason" }, "Upload");
  const before = make("div", { class: "up-line" }, ready, reason, start);

  let twice = []; // archives that another tab has uploaded, while it is asked about them
  const question = make("span", { class: "grow" });
  const answered = (act) => () => {
    act(twice);
    twice = [];
    element.refresh();
    if (start.disabled || before.hidden) return;
    start.focus();
  };
  const all = button("Upload again", answered((some) => {
    for (const pick of some) pick.isAgain = true;
    start.form.requestSubmit(start);
  }));
  const without = button("Remove", answered(acts.leaveOut), { of: "what another tab has uploaded" });
  const asks = make("div", { class: "up-line", role: "alert", hidden: true }, question, all, without);

  const title = make("strong", { id: "h-transfers", tabindex: "-1" });
  const bar = make("progress", { "aria-label": "Progress of all uploads" });
  const far = make("span", { class: "meta grow" });
  const open = () => transfers.filter((one) => !one.isOver && one.state !== "elsewhere");
  const pause = button("Pause all", () => open().forEach((one) => STILL.includes(one.state) && one.pause()));
  const resume = button("Go on with all", () => transfers.filter((one) => one.state === "paused").forEach((one) => one.resume()));
  const failed = () => transfers.filter((one) => one.import?.state === "failed" || (one.state === "stopped" && ["", "gone"].includes(one.remedy)));
  const retry = button("Retry all failed", () => failed().forEach(acts.retry));
  const cancel = askingButtons("Cancel all", () => open().forEach(acts.cancel), {
    question: "What the server has of them is deleted.",
    yes: "Cancel all uploads",
    no: "Keep uploading",
  });
  const going = make("div", { class: "up-line" }, title, bar, far, pause, resume, retry, ...cancel.elements);

  const verdict = make("output", { class: "grow up-done" });
  const links = make("span", { class: "up-links" });
  const copy = button("Copy", () => copied(verdict));
  const more = button("Upload more", acts.more, { kind: "primary" });
  const done = make("div", { class: "up-line" }, verdict, links, copy, more);

  const element = make("div", { class: "bar" }, going, asks, before, done);
  /** Ask about archives that another tab has uploaded, or uploads: once more, or not? */
  element.ask = (some) => {
    twice = some;
    element.refresh();
    all.focus();
  };
  element.refresh = () => {
    const some = picks.filter((pick) => !pick.problem);
    const wrong = some.length ? problem() || invalidWords(some) : "No archive on the list can be uploaded.";
    const isGoing = transfers.some((one) => !isOver(one));
    show(element, archives.length > 0);
    twice = twice.filter((pick) => picks.includes(pick));
    set(question, twice.length ? twiceWords(twice) : "");
    show(asks, twice.length > 0);
    show(before, some.length > 0 || (picks.length > 0 && !transfers.length));
    set(ready, readyWords(some));
    set(reason, wrong);
    show(reason, wrong !== "");
    start.disabled = wrong !== "";
    show(going, isGoing || (transfers.length > 0 && failed().length > 0));
    if (!going.hidden) goingInto();
    show(done, transfers.length > 0 && !isGoing);
    if (!done.hidden) doneInto();
  };

  function goingInto() {
    const bytes = bytesOf(transfers);
    set(title, headingOf(transfers));
    [bar.max, bar.value] = [Math.max(bytes.total, 1), bytes.done];
    const speed = pace.note(transfers);
    const told = [`${size(bytes.done)} of ${size(bytes.total)}`];
    if (speed) told.push(`${size(speed.rate)}/s`, left(speed.left));
    if (open().length === 0 && !transfers.some((one) => one.state === "elsewhere")) told.push("You can leave this page: the imports go on by themselves");
    set(far, told.join(" · "));
    const focused = going.contains(document.activeElement) ? document.activeElement : null;
    show(pause, open().some((one) => STILL.includes(one.state)));
    show(resume, !open().some((one) => STILL.includes(one.state)) && open().some((one) => one.state === "paused"));
    show(retry, failed().length > 0);
    cancel.allow(open().length > 0);
    if (focused?.hidden) title.focus();
  }

  function doneInto() {
    set(verdict, outcomeWords(transfers, { notSent: picks.filter(({ problem: stops }) => stops).length, notTaken: acts.notTaken() }));
    const parts = outcomesOf(transfers).filter(({ key, project }) => project && LINKS[key]);
    const to = [...new Map(parts.map(({ key, project }) => LINKS[key](project)).map((link) => [link.href, link])).values()];
    keyed(links, to, ({ href }) => href, ({ href, words }) => make("a", { href }, words));
    if (links.dataset.processed !== String(to.length)) window.htmx?.process(links);
    links.dataset.processed = String(to.length);
  }
  return element;
}

const twiceWords = ([{ name }, ...others]) => `${others.length ? plural(others.length + 1, "archive") : shown(name)} ${others.length ? "were" : "was"} uploaded from another tab already.`;

const toProject = (project) => ({ href: root + projectAt(project), words: `Project ${project}` });
const toPrearchive = (project) => ({ href: root + prearchiveOf(project), words: project === UNASSIGNED ? "Prearchive" : `Prearchive of ${project}` });
const LINKS = { archived: toProject, stored: toProject, prearchive: toPrearchive, needs_decision: toPrearchive };

/** Copy what an element says; where the site is not reached by https, by a selection. */
async function copied(element) {
  const selection = getSelection();
  selection.selectAllChildren(element);
  const isCopied = navigator.clipboard
    ? await navigator.clipboard.writeText(element.textContent).then(() => true, () => false)
    : document.execCommand("copy");
  say(isCopied ? "Copied." : "The text is selected: press Ctrl+C to copy it.");
}
