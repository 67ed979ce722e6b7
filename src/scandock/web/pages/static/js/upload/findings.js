// What a preview has found so far: studies with their objects' values, and all other entries by what becomes of them.

import { groupEcat } from "./ecat_groups.js";
import { junkCode, namedLikeImage } from "./junk.js";
import { placeOf } from "./layout.js";
import { FolderIndex } from "./loose.js";
import { studyOf } from "./tally.js";

const NAMED = 50; // entries of each kind that are named

/** An archive within the archive, or the one that was chosen (`parent` null). */
class Container {
  constructor(parent, name, outer) {
    Object.assign(this, { parent, name, outer });
    this.told = 0; // entries of it and of what is within
    this.promises = false; // an image is in it, or what promises to be one
    this.holds = false; // an image lies in it itself
    this.source = null; // its bytes, where they can be read again
  }
}

export class Findings {
  #studies = new Map();
  #ecat = [];
  #images = new FolderIndex();
  #others = [];
  #inner = [];
  root = new Container(null, "", []);
  read = 0; // entries that were looked at
  problems = [];
  damaged = []; // names of entries of the archive itself whose data are damaged

  constructor({ zone = "UTC" } = {}) {
    this.zone = zone;
  }

  /** An archive within `container`; `source` has its bytes. */
  open(container, name, source = null) {
    const made = Object.assign(new Container(container, name, [...container.outer, name]), { source });
    this.#inner.push(made);
    return made;
  }

  /** A DICOM object, as `readHeader` tells of it, and where its bytes are. */
  dicom(container, name, header, source = null) {
    this.#count(container, true);
    const study = studyOf(this.#studies, header);
    study.add(container, name, header, source);
    this.#images.add(container.outer, name, header.study);
    return "image";
  }

  /** Whether a series was met before: the first of each is read as far as the comments go. */
  knows(study, series) {
    return this.#studies.get(study)?.hasSeries(series) ?? false;
  }

  /** An ECAT file; `sha256` tells it from others. */
  ecat(container, name, header, sha256) {
    this.#count(container, true);
    const folder = placeOf(name).sessionFolder ?? "";
    const path = [...container.outer, name].join("!");
    this.#ecat.push({ ...header, path, folder, sha256, outer: container.outer, name });
    return "image";
  }

  /** An entry that is no image by its content: junk, unparseable or loose, by its name (rules.md 1 to 3). */
  other(container, name, { foreign = "" } = {}) {
    const place = placeOf(name);
    const junk = junkCode(name);
    if (place.isResourceFolder) return this.#told(container, name, junk === null ? "loose" : "junk");
    if (junk !== null) return this.#told(container, name, "junk", junk);
    if (place.isImageFolder || namedLikeImage(name)) return this.unparseable(container, name, foreign);
    return this.#told(container, name, "loose", foreign);
  }

  /** What lies in a resource folder of any other name than an image folder's. */
  resource(container, name) {
    return this.#told(container, name, junkCode(name) === null ? "loose" : "junk");
  }

  unparseable(container, name, why = "") {
    return this.#told(container, name, "unparseable", why);
  }

  /** A disc's index: junk that promises images. */
  dicomdir(container, name) {
    return this.#told(container, name, "junk", "dicomdir");
  }

  /** A link or device: never made. */
  special(container, name) {
    return this.#told(container, name, "special");
  }

  /** What only the server can read: another packing, or an odd header. */
  unsure(container, name, why) {
    return this.#told(container, name, "unsure", why);
  }

  #told(container, name, kind, why = "") {
    this.#count(container, false);
    const quiet = kind === "loose" || kind === "special" || (kind === "junk" && why !== "dicomdir");
    if (!quiet) promise(container);
    this.#others.push({ container, name, kind, why });
    return kind;
  }

  #count(container, image) {
    this.read += 1;
    container.holds ||= image;
    for (let one = container; one !== null; one = one.parent) one.told += 1;
    if (image) promise(container);
  }

  /** Where images of each study are: its key -> by series, the largest first, sources of images in the order of reading. */
  pictureSources() {
    return new Map([...this.#studies].map(([key, study]) => [key, study.pictureSources()]));
  }

  /** All of it, to be sent to the page: counts, the first names of each kind, and the facts of the studies. */
  report() {
    const dicom = [...this.#studies.values()].map((study) => study.facts());
    const studies = groupEcat(this.#ecat, dicom, this.zone);
    const index = this.#images;
    for (const study of studies) {
      for (const file of study.ecat) if (!file.counted) index.add(file.outer, file.name, study.key);
    }
    for (const file of this.#ecat) file.counted = true;
    const counts = { images: 0, resources: 0, ignored: 0, junk: 0, unparseable: 0, unsure: 0 };
    counts.images = this.#ecat.length + dicom.reduce((sum, study) => sum + study.images, 0);
    const named = { resources: [], ignored: [], junk: [], unparseable: [], unsure: [] };
    for (const { container, name, kind, why } of this.#folded()) {
      const verdict = kind === "loose" ? (index.homeOf(container.outer, name) === null ? "ignored" : "resources") : kind;
      const own = verdict === "special" ? "ignored" : verdict;
      counts[own] += 1;
      if (named[own].length < NAMED) named[own].push({ path: [...container.outer, name].join("!"), why });
    }
    return { counts, named, studies, read: this.read, problems: this.problems, damaged: this.damaged.slice(0, NAMED) };
  }

  /** The entries that are no images, inner archives without any as the files that they are (inner_files.py). */
  #folded() {
    const whole = new Set();
    const said = [];
    for (const inner of this.#inner) {
      if (inner.promises || inner.told === 0 || !inner.parent.holds || within(inner.parent, whole)) continue;
      whole.add(inner);
      const junk = junkCode(inner.name);
      const unparseable = placeOf(inner.name).isImageFolder || namedLikeImage(inner.name);
      const kind = junk !== null ? "junk" : unparseable ? "unparseable" : "loose";
      said.push({ container: inner.parent, name: inner.name, kind, why: "" });
    }
    return [...this.#others.filter(({ container }) => !within(container, whole)), ...said];
  }
}

function promise(container) {
  for (let one = container; one !== null; one = one.parent) one.promises = true;
}

function within(container, whole) {
  for (let one = container; one !== null; one = one.parent) if (whole.has(one)) return true;
  return false;
}

