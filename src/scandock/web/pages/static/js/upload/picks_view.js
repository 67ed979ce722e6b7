// What was chosen, each archive or folder with what was found in it.

import { number, plural, size } from "../live/figures.js";
import { isWarned } from "./clashes.js";
import { button, keyed, make, set, show } from "./dom.js";
import { leaving } from "./leaving.js";
import { shown } from "./names.js";
import { options, site } from "./options.js";
import { remove } from "./picks.js";
import { studiesView } from "./studies_view.js";

const OPEN_AT_MOST = 3; // with more archives than these their tables are folded, so that the list stays a list
const NAMED = 3; // labels that stand beside a folded table
const KINDS = {
  resources: ["other file kept with its session", "other files kept with their sessions"],
  ignored: ["file of no one session, ignored", "files of no one session, ignored"],
  junk: ["file of no use (.DS_Store and the like), ignored", "files of no use (.DS_Store and the like), ignored"],
  unparseable: ["file that should be an image and can't be read", "files that should be images and can't be read"],
  unsure: ["entry that only the server can read", "entries that only the server can read"],
};

export function pickView(pick, many) {
  const title = make("h3");
  const is = make("span", { class: "meta" });
  const problem = make("p", { class: "problem" });
  const others = make("ul", { class: "up-others" });
  const people = make("p", { class: "up-people" });
  const partial = make("p", { class: "help" });
  const studies = studiesView(pick);
  const words = make("span");
  const labels = make("span", { class: "up-labels" });
  const summary = make("summary", {}, words, labels);
  let folded = null; // by a person, or (null) not said
  summary.addEventListener("click", () => (folded = details.open));
  const details = make("details", { open: many <= OPEN_AT_MOST }, summary, studies.element, others);
  const head = make("div", { class: "head" }, title, is, button("Take off the list", () => remove(pick), { kind: "quiet last", of: shown(pick.name) }));
  const element = make("section", { class: "panel up-pick", "aria-label": shown(pick.name) }, head, problem, people, details, partial);
  set(title, shown(pick.name));

  element.refresh = () => {
    const { found } = pick;
    const bad = pick.problem;
    show(problem, Boolean(bad));
    set(problem, bad);
    set(is, [pick.files ? plural(pick.files.length, "file") : "", size(pick.size), stateOf(pick)].filter(Boolean).join(" · "));
    const shut = Boolean(found?.problems?.includes("encrypted")); // its names alone say nothing of use
    show(details, pick.decisions.length > 0 || (found !== null && !shut && othersOf(found).length > 0));
    show(people, pick.taken.length > 0);
    set(people, leaving(pick.taken));
    set(words, found ? inside(pick) : "");
    set(labels, labelsOf(pick));
    if (folded === null && !details.open && isWarned(pick)) details.open = true;
    element.dataset.preview = pick.state;
    const lines = found ? othersOf(found) : [];
    keyed(others, lines, ({ kind }) => kind, ({ kind }) => othersLine(kind));
    lines.forEach((line, at) => others.children[at].refresh(line));
    const missing = found ? partialOf(pick) : "";
    show(partial, Boolean(missing));
    set(partial, missing);
    studies.update();
  };
  element.unfold = (open) => {
    folded = !open;
    details.open = open;
  };
  return element;
}

function stateOf({ state, found }) {
  if (state === "waiting") return "waits to be looked into";
  if (found?.failed) return "";
  if (state === "looking" && found) return found.total ? `looking into it: ${number(found.read)} of ${number(found.total)} entries` : "looking into it";
  return state === "looking" ? "looking into it" : "";
}

/** "2 patients, 3 studies, 12 scans, 480 images", or "... 480 images in 20 files" where files have many. */
function inside({ decisions, found }) {
  if (!decisions.length) return plural(found.read, "entry", "entries") + ", no image";
  const patients = new Set(decisions.map((one) => one.naming.patients.commonId || one.study.common("PatientName") || one.study.key));
  const scans = decisions.reduce((sum, { study }) => sum + study.series.length + study.ecat.length, 0);
  return [
    plural(patients.size, "patient"),
    plural(decisions.length, "study", "studies"),
    plural(scans, "scan"),
    images(decisions, found.counts.images),
  ].join(", ");
}

/** What is called how, in one line, for a table that is folded. */
function labelsOf({ taken }) {
  if (!taken.length) return "";
  const first = taken.slice(0, NAMED).map((one) => one.label);
  return ` as ${first.join(", ")}${taken.length > NAMED ? ` and ${number(taken.length - NAMED)} more` : ""}`;
}

function images(decisions, files) {
  const frames = decisions.reduce((sum, { study }) => sum + study.frames - study.objects, files);
  return plural(frames, "image") + (frames === files ? "" : ` in ${plural(files, "file")}`);
}

function othersOf({ counts, named }) {
  if (!counts) return [];
  const kinds = Object.keys(KINDS).filter((kind) => counts[kind] > 0);
  return kinds.map((kind) => ({ kind, count: counts[kind], names: named[kind] }));
}

function othersLine(kind) {
  const summary = make("summary");
  const names = make("ul", { class: "up-names" });
  const line = make("li", { class: kind }, make("details", {}, summary, names));
  line.refresh = ({ count, names: paths }) => {
    const [one, several] = KINDS[kind];
    const kept = kind === "resources" && !options.keep ? " (not kept, as chosen above)" : "";
    const refuses = kind === "unparseable" && !options.ignore ? ": the archive will be refused, as chosen above" : "";
    set(summary, `${plural(count, one, several)}${kept}${refuses}`);
    keyed(names, paths, ({ path }) => path, ({ path, why }) => make("li", {}, shown(path), why && why !== "junk_name" ? make("span", { class: "meta" }, ` ${why}`) : ""));
  };
  return line;
}

function partialOf({ state, found }) {
  if (found.failed) return "This browser can't look into it. The server will say what is in it.";
  const packed = (found.problems ?? []).filter((problem) => ["bzip2", "xz", "zstd"].includes(problem));
  if (packed.length) return `It is packed by ${packed[0]}, which this browser can't open: the server will say what is in it.`;
  if (state === "done" && found.partial) {
    return `Only ${number(found.read)} of ${number(found.total)} entries were looked at, so that this takes no longer: the numbers are partial, and the server will count all.`;
  }
  if (found.problems?.includes("damaged")) return "It ends early or is damaged: it will probably be refused.";
  return site.rules ? "This site has naming rules of its own: where they apply, labels that are not changed here may come out differently." : "";
}
