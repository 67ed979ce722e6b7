// What belongs to an archive as a whole: its state, how far it is, why it does not go on, and the buttons that act on it.

import { importAt, LOGIN } from "../addresses.js";
import { left, number, size } from "../live/figures.js";
import { root } from "../site.js";
import { ACTS, HELD_FOR, IMPORTS, isEnded, NONE_READABLE, REFUSED_FOR, STAGES, TRANSFERS } from "../states.js";
import { askingButtons, button, make, set, show } from "./dom.js";
import { shown } from "./names.js";
import { asBegun } from "./not_taken.js";
import { unreadableWords } from "./totals.js";
import { waitsFor } from "./transfers.js";

/** What is lost by it, asked once. */
const QUESTIONS = {
  cancel: { question: "What the server has of it is deleted.", yes: "Cancel upload", no: "Keep uploading" },
  stop: { question: "Nothing of it is stored, and the uploaded archive is deleted.", yes: "Cancel the import", no: "Keep importing" },
};

/** Whether bytes of it went to the server. */
const hasBytes = ({ sent }) => sent > 0;

/** An element with `refresh({isAlone})`: in the row of its only study (`isAlone`) what that says is not said again.
 * `acts`: what each button does, by the keys of ACTS, and `remove`. */
export function archiveControls(pick, acts) {
  const called = shown(pick.name);
  const state = make("span", { class: "state" });
  const bar = make("progress", { "aria-label": `Progress of ${called}` });
  const far = make("span", { class: "meta" });
  const why = make("p", { class: "up-why" });
  const asking = new Map(
    Object.entries(QUESTIONS).map(([act, question]) => [act, askingButtons(ACTS[act], () => acts[act](pick), { ...question, of: called, isAsked: () => hasBytes(pick.transfer) })]),
  );
  const buttons = new Map(
    Object.entries(ACTS).filter(([act]) => !asking.has(act)).map(([act, words]) => {
      if (act === "login") return [act, make("a", { class: "button", href: root + LOGIN, target: "_blank", "hx-boost": "false" }, words)];
      if (act === "details") return [act, make("a", { class: "button quiet", "aria-label": `${words}: ${called}` }, words)];
      return [act, button(words, () => acts[act](pick), { of: called })];
    }),
  );
  const removing = button("Remove", () => acts.remove(pick), { kind: "quiet", of: called });
  const actions = make("p", { class: "actions" }, ...buttons.values(), ...[...asking.values()].flatMap(({ elements }) => elements), removing);
  const element = make("div", { class: "up-archive-is" }, state, bar, far, why, actions);
  element.refresh = ({ isAlone }) => {
    const is = stateOf(pick);
    const hasOutcome = isAlone && (pick.transfer?.import?.sessions.length ?? 0) > 0 && !["failed", "cancelled", "partly"].includes(is.key);
    show(state, is.word !== "" && !hasOutcome);
    set(state, is.word);
    state.className = `state ${is.look}`;
    barInto(bar, pick);
    const words = farOf(pick);
    show(far, words !== "");
    set(far, words);
    const told = whyOf(pick, hasOutcome);
    show(why, told !== "");
    set(why, told);
    const focused = actions.contains(document.activeElement) ? document.activeElement : null;
    const isTold = hasOutcome && unreadableWords([pick.transfer]) === ""; // by the row itself
    for (const [act, one] of buttons) show(one, is.acts.includes(act) && mayDo(act, pick) && !(act === "details" && isTold));
    for (const [act, one] of asking) one.allow(is.acts.includes(act));
    show(removing, pick.transfer === null);
    const { upload } = pick.transfer ?? {};
    const details = buttons.get("details");
    if (upload && !details.href) {
      details.href = root + importAt(upload);
      window.htmx?.process(actions);
    }
    if (focused?.closest("[hidden]")) [...actions.children].find((child) => !child.hidden && child.matches("button, a"))?.focus();
  };
  return element;
}

/** {key, word, look, acts} of an archive: of its preview, its upload or its import, whichever is the latest. */
function stateOf({ transfer, problem, state }) {
  if (transfer === null) {
    if (problem) return { key: "stop", word: "will not be uploaded", look: "refused", acts: ["another"] };
    return { key: state, word: "", look: "", acts: [] };
  }
  if (transfer.state === "done" && transfer.import) return { key: transfer.import.state, ...IMPORTS[transfer.import.state] };
  return { key: transfer.state, ...TRANSFERS[transfer.state] };
}

function mayDo(act, { transfer }) {
  if (act === "again" && transfer.isReturned) return false; // its bytes are not here
  if (act === "again") return transfer.state === "cancelled" || transfer.import?.state === "cancelled" || transfer.isRefused || ["anew", "gone"].includes(transfer.remedy);
  if (act === "retry") return ["", "gone"].includes(transfer.remedy);
  if (act === "choose") return transfer.remedy === "file";
  if (act === "login") return transfer.remedy === "login";
  if (act === "now") return transfer.remedy !== "login";
  return true;
}

function barInto(bar, { transfer }) {
  const isStill = transfer === null || transfer.state === "waiting" || transfer.state === "cancelled" || (transfer.import && isEnded(transfer.import.state));
  show(bar, !isStill);
  if (isStill) return;
  if (!transfer.import) [bar.max, bar.value] = [Math.max(transfer.total, 1), transfer.sent];
  else if (transfer.import.progress?.total) [bar.max, bar.value] = [transfer.import.progress.total, transfer.import.progress.done];
  else bar.removeAttribute("value");
}

function farOf({ transfer, found, state }) {
  if (transfer === null) {
    if (state === "waiting") return "waiting to be read";
    if (state !== "looking") return "";
    return found?.total ? `reading: ${number(found.read)} of ${number(found.total)} files` : "reading";
  }
  if (transfer.state === "waiting") {
    const before = waitsFor(transfer);
    return before === null ? "" : `waits until ${shown(before.name)} is imported`;
  }
  if (transfer.state === "cancelled") return "";
  if (transfer.import) return isEnded(transfer.import.state) ? "" : (STAGES[transfer.import.stage] ?? "");
  const told = [`${size(transfer.sent)} of ${size(transfer.total)}`];
  if (transfer.state === "running" && transfer.speed) {
    told.push(`${size(transfer.speed.rate)}/s`);
    if (transfer.speed.left !== null) told.push(left(transfer.speed.left));
  }
  return told.join(" · ");
}

function whyOf(pick, hasOutcome) {
  const { transfer, problem } = pick;
  if (transfer === null) return problem;
  if (transfer.refusal) return transfer.refusal;
  if (transfer.import) {
    const unreadable = unreadableWords([transfer]);
    return [hasOutcome ? "" : whyOfImport(transfer.import), unreadable && `${unreadable}.`].filter(Boolean).join(" ");
  }
  if (transfer.state === "elsewhere") return "It goes on in another tab or browser.";
  if (transfer.isFromBefore && ["waiting", "running", "paused"].includes(transfer.state)) return asBegun(transfer.begunFor);
  if (transfer.state !== "stopped" && transfer.state !== "held up") return "";
  return transfer.retryAt === null ? transfer.why : `${transfer.why} Retrying in ${secondsTo(transfer.retryAt)} s…`;
}

function whyOfImport({ state, code, message, problem, sessions, unreadable = 0 }) {
  if (!isEnded(state) || state === "placed") return problem ?? "";
  if (state === "held") return sessions.length ? "" : (HELD_FOR[code] ?? message); // each row says its own
  if (state === "refused" && code === "no_images" && unreadable > 0) return NONE_READABLE;
  return state === "refused" ? (REFUSED_FOR[code] ?? message) : message;
}

const secondsTo = (moment) => Math.max(1, Math.ceil((moment - performance.now()) / 1000));
