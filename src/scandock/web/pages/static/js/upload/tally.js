// Counts over the objects of a study, as they come: what `study.js` asks of it afterwards.

import { crc32 } from "./crc32.js";
import { placeOf, splitBase } from "./layout.js";

const ASCII = new TextEncoder();
const MANY = 512; // distinct values that are counted for one element of one series

class Tally {
  #series = new Map();
  #sessionFolders = new Map();
  #folders = new Set();
  #objects = 0;
  #sum = 0; // of the CRC-32 of each SOP Instance UID, by which the server tells whether it has the same images

  constructor(uid) {
    this.uid = uid;
  }

  hasSeries(uid) {
    return this.#series.has(uid);
  }

  add(container, name, header) {
    this.#objects += 1;
    this.#sum += crc32(ASCII.encode(header.sop));
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
