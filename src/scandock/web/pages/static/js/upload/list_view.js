// The one list of all archives, from drop to done: warnings that several rows share above it, then a row for each study.

import { number } from "../live/figures.js";
import { keyed, make, set, show } from "./dom.js";
import { leaving } from "./leaving.js";
import { archives, foreseeAll, picks } from "./picks.js";
import { archiveBody } from "./picks_view.js";
import { COLUMNS } from "./studies_view.js";
import { warningsOf } from "./warnings.js";

/** An element with `refresh(pick)` (null: all of them) and `refreshHead(pick)` and `tick()`, for what counts seconds. */
export function listView(acts) {
  let filter = null; // the code of the warning whose rows alone are seen
  const warnings = make("ul", { class: "up-warnings" });
  const people = make("p", { class: "up-people" });
  const heads = COLUMNS.map((column) => make("th", { scope: "col", class: column.class ?? null, "data-label": column.label, abbr: column.label ? column.words : null }, column.unseen ? make("span", { class: "unseen" }, column.words) : column.words));
  const happens = heads.at(-1);
  const table = make("table", { class: "up-table" }, make("thead", {}, make("tr", {}, ...heads)));
  const scroll = make("div", { class: "scroll", role: "region", "aria-label": "Archives and studies", tabindex: "0" }, table);
  const element = make("div", { hidden: true }, people, warnings, scroll);
  const bodies = new Map();
  let isEach = false; // whether a project can be named for each study

  /** Whether studies have projects of their own by now, so that their column has to be seen. */
  const needed = () => picks.some((pick) => [...pick.edits.values(), ...pick.invalid.values()].some(({ project }) => project));
  Object.defineProperty(element, "needsProjects", { get: needed });
  Object.defineProperty(element, "hasProjects", { get: () => isEach || needed() });
  element.showProjects = (isShown) => {
    isEach = isShown;
    element.refresh(null);
  };

  const choose = (code) => {
    filter = filter === code ? null : code;
    element.refresh(null);
  };

  /** Warnings that stand above the table, and the sentences that need not stand in each row. */
  function refreshWarnings() {
    const groups = warningsOf(picks);
    if (!groups.some(({ code }) => code === filter)) filter = null;
    keyed(warnings, groups, ({ code }) => code, ({ code }) => warningLine(() => choose(code)));
    groups.forEach((group, at) => warnings.children[at].refresh(group, filter === group.code));
    show(warnings, groups.length > 0);
    const taken = picks.filter((pick) => !pick.problem).flatMap((pick) => pick.taken);
    show(people, taken.length > 0);
    if (taken.length) set(people, leaving(taken));
    return groups;
  }

  element.refresh = (pick) => {
    foreseeAll();
    const groups = refreshWarnings();
    const shared = repeated();
    if (pick === null) {
      const before = new Set(bodies.keys());
      archives.forEach((one, at) => {
        if (!before.delete(one.id)) bodies.set(one.id, archiveBody(one, acts));
        const body = bodies.get(one.id);
        if (table.tBodies[at] !== body) table.insertBefore(body, table.tBodies[at] ?? null);
      });
      for (const id of before) {
        bodies.get(id).remove();
        bodies.delete(id);
      }
    }
    for (const one of pick === null ? archives : [pick]) bodies.get(one.id)?.refresh(shared);
    const keys = filter === null ? null : new Set(groups.find(({ code }) => code === filter).rows);
    for (const one of archives) bodies.get(one.id)?.filter(keys);
    table.classList.toggle("up-each", element.hasProjects);
    set(happens, picks.some(({ problem }) => !problem) ? "What will happen" : "Status");
    show(element, archives.length > 0);
  };
  element.refreshHead = (pick) => bodies.get(pick.id)?.refreshHead();
  element.first = (pick) => bodies.get(pick.id);
  return element;
}

/** The sentences that stand at two rows or more. */
function repeated() {
  const seen = new Set();
  const twice = new Set();
  for (const one of picks.flatMap((pick) => pick.taken)) {
    for (const { words } of one.forecast.notes) (seen.has(words) ? twice : seen).add(words);
  }
  return twice;
}

function warningLine(click) {
  const words = make("span", { class: "grow" });
  const button = make("button", { type: "button", class: "quiet", on: { click } });
  const line = make("li", {}, words, button);
  line.refresh = ({ kind, words: told, rows }, isFilter) => {
    line.className = kind;
    set(words, told);
    set(button, isFilter ? "Show all" : `Show ${number(rows.length)}`);
    button.setAttribute("aria-pressed", String(isFilter));
    button.setAttribute("aria-label", `${button.textContent}: ${told}`);
  };
  return line;
}
