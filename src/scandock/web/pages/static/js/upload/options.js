// What the form says of where uploads go, kept while the document lives, so that moving about forgets nothing.

import { isProjectId } from "./labels.js";
import { shown } from "./names.js";

const DEFAULTS = { where: "project", project: "", destination: "", overwrite: "", ignore: true, keep: true };

/** As it is now. */
export const options = { ...DEFAULTS, known: false };

/** What the server told the page: project codes, what projects do with PET and MR, placeholders, time zone, whether it has rules, what is removed
 * (null where nothing is), the largest upload, and whether there are more projects than these. */
export const site = { codes: {}, petmr: {}, mapWords: "mrac", placeholders: [], zone: "UTC", rules: false, privacy: null, most: Infinity, more: false };

const DOES = {
  0: "sessions wait in the prearchive",
  4: "sessions are archived",
  5: "sessions are archived, and replace what an archived session has in common with them",
};

/** Read the form, or, where it was read before in this document, let it show what was said then. `last` is the project that
 * was chosen before, for a form that names none. */
export function begin(form, last = "") {
  Object.assign(site, JSON.parse(form.dataset.told));
  if (!Object.keys(site.codes).length) options.where = "headers";
  if (options.known) write(form);
  else if (form.elements.project?.value === "" && last && !problemOf(last)) form.elements.project.value = last;
  options.known = true;
  read(form);
}

export function read(form) {
  const fields = new FormData(form);
  options.where = fields.get("where");
  options.project = (fields.get("project") ?? "").trim();
  for (const name of ["destination", "overwrite"]) options[name] = fields.get(name);
  for (const name of ["ignore", "keep"]) options[name] = fields.has(name);
  if (options.where === "project" && options.project) options.project = named(options.project) ?? options.project;
}

function write(form) {
  const asked = form.elements.project?.value; // an address that names a project goes before what was said
  const said = { ...options, project: asked || options.project };
  for (const name of ["where", "destination", "overwrite"]) {
    for (const one of form.querySelectorAll(`input[type=radio][name=${name}]`)) one.checked = one.value === said[name];
  }
  if (form.elements.project) form.elements.project.value = said.project;
  form.elements.ignore.checked = said.ignore;
  form.elements.keep.checked = said.keep;
}

/** The project as it is written, whatever the case; undefined where one may not upload to it. */
export function named(text) {
  return Object.keys(site.codes).find((name) => name.toLowerCase() === text.toLowerCase());
}

/** The id of a project that one may upload to, as it is written; "" for none. */
export function projectNamed(text) {
  const name = text.trim();
  return named(name) ?? (name && !problemOf(name) ? name : "");
}

/** The project that the form names; "" for what the headers say. */
export function project() {
  return options.where === "project" ? options.project : "";
}

/** The same, or null where nothing can be uploaded so. */
export const projectOrNone = () => (problem() ? null : project());

/** What is wrong with what the form says; "" where an upload may begin. */
export function problem() {
  return options.where === "project" ? problemOf(options.project) : "";
}

/** What is wrong with a project that is named; "" for nothing. */
export function problemOf(text) {
  if (!text) return "Name a project first.";
  if (site.more && isProjectId(text)) return ""; // the page does not know them all: the server decides
  return named(text) === undefined ? `No project “${shown(text)}”, or you can't upload to it.` : "";
}

/** Whether what is written may become the name of a project. */
export const isBeginning = (text) => Object.keys(site.codes).some((name) => name.toLowerCase().startsWith(text.toLowerCase()));

/** What the chosen project does with sessions; "" where that is not known. */
export function does() {
  const code = site.codes[named(project()) ?? ""];
  return code === undefined ? "" : DOES[code];
}

/** Where uploads go, in a few words. */
export function into() {
  if (options.where === "headers") return Object.keys(site.codes).length ? "Into projects named by the headers" : "Without a project";
  if (!options.project) return "No project named";
  return problem() ? `No project “${shown(options.project)}”` : `Into ${options.project}`;
}

/** The other choices in a few words. */
export function summary() {
  const words = [
    { "": "", prearchive: "to the prearchive", archive: "to the archive" }[options.destination],
    { "": "", append: "add new files", none: "keep what is archived", delete: "replace images" }[options.overwrite],
    options.ignore ? "" : "unreadable files refuse an archive",
    options.keep ? "" : "no other files",
  ].filter(Boolean);
  return words.length ? words.join(", ") : "project defaults";
}

/** What goes into Upload-Metadata, by the API's names. */
export function fields() {
  return {
    project: project(),
    destination: options.destination,
    overwrite: options.overwrite,
    ignore_unparsable: options.ignore ? "true" : "false",
    resources: options.keep ? "keep" : "ignore",
  };
}
