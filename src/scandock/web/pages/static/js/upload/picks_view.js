// The rows of one archive: a head with what belongs to all of it where it has several studies, else all in one row.

import { number, plural, size } from "../live/figures.js";
import { insideOf, packingOf, wasOpened } from "./archive_words.js";
import { keyed, make, set, show } from "./dom.js";
import { isRefusedWhole } from "./forecast.js";
import { shown } from "./names.js";
import { options, site } from "./options.js";
import { rowsOf } from "./rows.js";
import { COLUMNS, studyRow } from "./studies_view.js";
import { archiveControls } from "./transfers_view.js";
import { rowKey } from "./warnings.js";

const SHOWN = 400; // rows of an archive that are made at once
const HEAD = " head"; // no key of a study begins so
const WIDE = 9; // columns of what an archive is; the others are for what it does
const KINDS = {
  resources: ["other file kept with its session", "other files kept with their sessions"],
  ignored: ["other file that belongs to no single session, ignored", "other files that belong to no single session, ignored"],
  junk: ["unneeded file (.DS_Store, disc viewers and the like), ignored", "unneeded files (.DS_Store, disc viewers and the like), ignored"],
  unparseable: ["file that should be an image and can't be read", "files that should be images and can't be read"],
  unsure: ["file that only the server can read", "files that only the server can read"],
};
const WHY = {
  dicomdir: "index of a disc",
  ecat_truncated: "the file is cut short",
  header_truncated: "the file is cut short",
  junk_name: "",
  no_series_uid: "its header names no series",
  no_sop_uid: "its header gives the image no ID",
  no_study_uid: "its header names no study",
  not_ecat: "its header is not that of an ECAT file",
};

/** A `tbody` with `refresh(shared)`, `refreshHead()` for what changes as bytes go, and `filter(keys)`, which leaves
 * rows of these keys to be seen, or all (null). `acts` as `archiveControls` takes them. */
export function archiveBody(pick, acts) {
  let [most, keys] = [SHOWN, null];
  const controls = archiveControls(pick, acts);
  const name = make("strong", { class: "up-name" }, shown(pick.name));
  const is = make("span", { class: "meta" });
  const others = make("details", { class: "up-others" }, make("summary"), make("ul"));
  const partial = make("span", { class: "help" });
  const about = make("div", { class: "up-about" }, name, is, partial, others);
  const [headAbout, headDoing] = [make("th", { scope: "rowgroup", colspan: String(WIDE) }), make("td", { colspan: String(COLUMNS.length - WIDE), class: "up-happens" })];
  const head = make("tr", { class: "up-head" }, headAbout, headDoing);
  const element = make("tbody", { class: "up-archive", "data-archive": pick.id });
  let isAlone = false;

  function place(rows) {
    isAlone = rows.length === 1;
    const row = isAlone ? element.querySelector(".up-study") : null;
    const [to, toDoing] = isAlone ? [row.about, row.doing] : [headAbout, headDoing];
    if (about.parentElement !== to) to.append(about);
    if (controls.parentElement !== toDoing) toDoing.append(controls);
    show(head, !isAlone);
  }

  element.refreshHead = () => {
    controls.refresh({ isAlone });
    element.toggleAttribute("data-uploaded", pick.transfer?.state === "done");
  };
  element.filter = (some) => {
    keys = some;
    let any = false;
    for (const row of element.querySelectorAll(".up-study")) {
      const fits = keys === null || keys.has(rowKey(pick, row.dataset.key)) || (isAlone && keys.has(rowKey(pick)));
      show(row, fits);
      any ||= fits;
    }
    const own = keys === null || keys.has(rowKey(pick));
    show(element, own || any);
  };
  element.refresh = (shared) => {
    const rows = rowsOf(pick);
    const some = rows.slice(0, most);
    const more = rows.length > most ? [{ key: " more" }] : [];
    keyed(element, [{ key: HEAD }, ...some, ...more], ({ key }) => key, ({ key }) => (key === HEAD ? head : key === " more" ? moreRow(() => {
      most += SHOWN;
      element.refresh(shared);
      element.filter(keys);
    }) : studyRow(pick, key)));
    some.forEach((row, at) => element.children[at + 1].refresh(row, shared));
    if (more.length) element.lastElementChild.refresh(rows.length);
    place(some);
    element.dataset.preview = pick.state;
    set(is, ["", pick.files ? plural(pick.files.length, "file") : "", size(pick.size), isAlone ? "" : insideOf(pick)].filter((part, at) => part || !at).join(" · "));
    othersInto(others, pick);
    const missing = pick.found ? partialOf(pick) : "";
    show(partial, missing !== "");
    set(partial, missing);
    element.refreshHead();
    if (keys !== null) element.filter(keys);
  };
  return element;
}

function moreRow(click) {
  const button = make("button", { type: "button", class: "quiet", on: { click } });
  const row = make("tr", {}, make("td", { colspan: String(COLUMNS.length) }, button));
  row.refresh = (count) => set(button, `Show more of ${plural(count, "study", "studies")}`);
  return row;
}

/** The entries that are no images; of an archive that was not opened they say nothing of use. */
function othersInto(details, pick) {
  const { counts, named } = pick.found ?? {};
  const kinds = counts && wasOpened(pick) ? Object.keys(KINDS).filter((kind) => counts[kind] > 0) : [];
  const [summary, list] = details.children;
  keyed(list, kinds, (kind) => kind, othersLine);
  kinds.forEach((kind, at) => list.children[at].refresh(counts[kind], named[kind], pick));
  show(details, kinds.length > 0);
  if (!kinds.length) return;
  const bad = counts.unparseable;
  const all = kinds.reduce((sum, kind) => sum + counts[kind], 0);
  summary.classList.toggle("unparseable", bad > 0);
  set(summary, bad === all ? `${plural(bad, "file")} can't be read` : plural(all, "other file") + (bad ? `, ${number(bad)} can't be read` : ""));
}

function othersLine(kind) {
  const summary = make("summary");
  const names = make("ul", { class: "up-names" });
  const line = make("li", { class: kind }, make("details", {}, summary, names));
  line.refresh = (count, paths, pick) => {
    const [one, several] = KINDS[kind];
    const kept = kind === "resources" && !options.keep ? " (not kept, as chosen)" : "";
    const refuses = kind === "unparseable" && pick.transfer === null && isRefusedWhole(pick) ? ": the archive will be refused, as chosen" : "";
    set(summary, `${plural(count, one, several)}${kept}${refuses}`);
    keyed(names, paths, ({ path }) => path, ({ path, why }) => nameLine(path, WHY[why] ?? why));
  };
  return line;
}

const nameLine = (path, why) => make("li", {}, shown(path), why ? make("span", { class: "meta" }, ` ${why}`) : "");

function partialOf({ state, found, transfer }) {
  if (transfer?.import?.sessions.length) return "";
  if (found.failed) return "This browser can't look into it. The server will say what is in it.";
  const packing = packingOf(found);
  if (packing) return `This browser can't open ${packing} archives. The server will say what is in it.`;
  if (state === "done" && found.partial && transfer === null) {
    return `Only ${number(found.read)} of ${number(found.total)} files were read here, to save time. The server will read all of them.`;
  }
  if (found.problems?.includes("damaged")) return "It is damaged or incomplete and will probably be refused.";
  return site.rules ? "This site has its own naming rules: labels that you don't change here can come out differently." : "";
}
