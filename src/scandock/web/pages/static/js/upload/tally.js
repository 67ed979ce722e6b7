// Counts over the objects of a study, as they come: what `study.js` asks of it afterwards.

import { crc32 } from "./crc32.js";
import { placeOf, splitBase } from "./layout.js";

const ASCII = new TextEncoder();
const MANY = 512; // distinct values that are counted for one element of one series
const CRCS = 20_000; // images of a study that are told from those of others one by one
const PLACES = 64; // images of a series whose places are kept, at even distances

class Tally {
  #series = new Map();
  #sessionFolders = new Map();
  #folders = new Set();
  #objects = 0;
  #sum = 0; // of the CRC-32 of each SOP Instance UID, by which the server tells whether it has the same images
  #crcs = new Set(); // these, while they are not too many
  #places = new Map(); // by series: {places, step, seen}

  constructor(uid) {
    this.uid = uid;
  }

  hasSeries(uid) {
    return this.#series.has(uid);
  }

  /** `source` says where the object's bytes are, for its picture; null where they can't be read again. */
  add(container, name, header, source = null) {
    this.#objects += 1;
    const crc = crc32(ASCII.encode(header.sop));
    this.#sum += crc;
    if (this.#crcs.size <= CRCS) this.#crcs.add(crc);
    if (source !== null && header.frames > 0) this.#place(header.series, source);
    let series = this.#series.get(header.series);
    if (series === undefined) {
      series = { uid: header.series, objects: 0, frames: 0, values: {} };
      this.#series.set(header.series, series);
    }
    series.objects += 1;
    series.frames += header.frames ?? 0;
    for (const [keyword, text] of Object.entries(header.values)) {
      const seen = (series.values[keyword] ??= new Map());
      if (seen.has(text) || seen.size < MANY) seen.set(text, (seen.get(text) ?? 0) + 1);
    }
    const folder = placeOf(name).sessionFolder;
    if (folder) this.#sessionFolders.set(folder, (this.#sessionFolders.get(folder) ?? 0) + 1);
    this.#folders.add([...container.outer, splitBase(name)[0]].join("!"));
  }

  #place(uid, source) {
    let series = this.#places.get(uid);
    if (series === undefined) this.#places.set(uid, (series = { places: [], step: 1, seen: 0 }));
    if (series.seen % series.step === 0) series.places.push(source);
    series.seen += 1;
    if (series.places.length <= PLACES) return;
    series.places = series.places.filter((_, at) => at % 2 === 0);
    series.step *= 2;
  }

  /** Where images are that may stand for the study: the middle one of each series, the largest series first. */
  pictureSources() {
    const size = (uid) => this.#series.get(uid).frames;
    const ordered = [...this.#places].sort(([one], [other]) => size(other) - size(one));
    return ordered.map(([, { places }]) => places);
  }

  facts() {
    return {
      key: this.uid,
      uid: this.uid,
      series: [...this.#series.values()],
      ecat: [],
      sessionFolders: Object.fromEntries(this.#sessionFolders),
      folders: [...this.#folders],
      ecatDate: "",
      ecatTime: "",
      images: this.#objects,
      imagesSum: this.#sum,
      imageCrcs: this.#crcs.size <= CRCS ? Uint32Array.from(this.#crcs) : null,
    };
  }
}

/** The tally of an object's study, made where it is the first. */
export function studyOf(studies, header) {
  let study = studies.get(header.study);
  if (study === undefined) {
    study = new Tally(header.study);
    studies.set(header.study, study);
  }
  return study;
}
