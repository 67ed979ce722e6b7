// One picture a study while archives are looked into: at most so many bytes and so much time for all of them together.

import { pictureOf } from "./picture.js";

const BYTES = 64 * 1024 * 1024;
const MILLISECONDS = 10_000;
const TRIES = 3; // series of a study that are tried
const DEEP = 16 * 1024 * 1024; // how far into a stream one reads for an image in the middle

class Spent extends Error {}

/** What pictures may cost, and the last thing that was costly to read. */
class Meter {
  #key = null;
  #value = null;

  constructor(bytes, milliseconds) {
    Object.assign(this, { bytes, milliseconds });
    this.isOver = false;
  }

  /** `bytes` will be read. Throws Spent where they are more than are left. */
  take(bytes) {
    if (this.isOver || bytes > this.bytes) throw new Spent();
    this.bytes -= bytes;
  }

  /** What `make` gives for `key`; the last one is kept. */
  async remember(key, make) {
    if (this.#key === key) return this.#value;
    this.forget();
    const value = await make();
    [this.#key, this.#value] = [key, value];
    return value;
  }

  forget() {
    this.#key = this.#value = null;
  }
}

/** Makes the pictures of archives, one after the other. */
export class PictureMaker {
  #meter;
  #queue = Promise.resolve();

  /** `tell(study, picture)` is given each picture; `decodeJpeg` as `decodeFrame` has it. */
  constructor(tell, decodeJpeg, { bytes = BYTES, milliseconds = MILLISECONDS } = {}) {
    Object.assign(this, { tell, decodeJpeg, budget: [bytes, milliseconds] });
    this.#meter = new Meter(...this.budget);
  }

  /** Make the pictures of an archive's studies, once those of others are made; `isWanted()` tells whether to go on. */
  add(sources, isWanted) {
    const meter = this.#meter;
    this.#queue = this.#queue.then(() => this.#make(sources, meter, () => isWanted() && !meter.isOver));
    return this.#queue;
  }

  /** Make no more of them; what is added from now on has a budget of its own. */
  stop() {
    this.#meter.isOver = true;
    this.#meter = new Meter(...this.budget);
  }

  async #make(sources, meter, isWanted) {
    for (const [study, series] of sources) {
      for (const places of series.slice(0, TRIES)) {
        if (!isWanted() || meter.milliseconds <= 0) return meter.forget();
        const began = performance.now();
        const picture = await this.#pictureOfSeries(places, meter);
        meter.milliseconds -= performance.now() - began;
        if (picture === null) continue;
        if (isWanted()) this.tell(study, picture);
        break;
      }
    }
    return meter.forget();
  }

  /** Of the image in the middle, else of the first: a series may have images of several transfer syntaxes. */
  async #pictureOfSeries(places, meter) {
    const [first, middle] = [places[0], places[places.length >> 1]];
    const found = middle.depth > DEEP ? null : await this.#picture(middle, meter);
    return found ?? (first === middle && middle.depth <= DEEP ? null : this.#picture(first, meter));
  }

  async #picture(source, meter) {
    try {
      return await pictureOf((length) => source.read(length, meter), this.decodeJpeg);
    } catch (error) {
      // The budget does not reach for this one (a smaller one may follow), or it is damaged: it keeps its icon.
      if (!(error instanceof Spent)) console.debug(error);
      return null;
    }
  }
}
