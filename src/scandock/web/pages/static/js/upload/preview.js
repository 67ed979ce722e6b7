// The preview of one archive or folder before a byte of it leaves: what it is, told again and again as numbers grow.

import { Findings } from "./findings.js";
import { walkFile, walkFolder } from "./walk.js";

const BUDGET = 30_000; // milliseconds after which a preview stops, and says that its numbers are partial
const BETWEEN = [60, 250]; // milliseconds between reports: the first soon, later ones less often
const YIELD = 25; // milliseconds of work between breaths

/** How far a preview is, and how long it may go on. */
class Pace {
  total = 0;
  bytes = 0;
  at = 0;
  isOver = false;
  sampling = 1;
  skipped = false; // whether entries were left out by sampling
  #began = performance.now();
  #told = -Infinity;
  #breathed = performance.now();
  #reports = 0;

  constructor(budget, tell) {
    this.budget = budget;
    this.tell = tell;
  }

  found(entries, bytes = 0) {
    const first = this.total === 0;
    this.total += entries;
    this.bytes += bytes;
    if (first) this.#report(); // a directory is known before any of its entries is read
  }

  passed(position) {
    this.at = position;
  }

  /** Lets messages in, reports, and looks at the time. */
  async breath() {
    const now = performance.now();
    if (now - this.#began > this.budget) this.isOver = true;
    if (now - this.#told > BETWEEN[this.#reports > 4 ? 1 : 0]) this.#report();
    if (now - this.#breathed < YIELD) return;
    await new Promise((resolve) => setTimeout(resolve));
    this.#breathed = performance.now();
  }

  stop() {
    this.isOver = true;
  }

  /** The items, or, where the first ones show that all would take longer than there is, every nth of the rest. */
  *sampled(items) {
    const began = performance.now();
    const trial = 64;
    for (let at = 0; at < items.length; ) {
      yield items[at];
      at += 1;
      if (at < trial || items[at - 1]?.[1]) continue;
      const spent = performance.now() - began;
      const left = this.budget - (performance.now() - this.#began);
      const wanted = ((items.length - at) * spent) / at;
      if (at % trial === 0 || this.sampling > 1) this.sampling = wanted > left ? Math.ceil(wanted / Math.max(left, 1)) : 1;
      at += this.sampling - 1;
      this.skipped ||= this.sampling > 1;
    }
  }

  #report() {
    this.#told = performance.now();
    this.#reports += 1;
    this.tell();
  }
}

/** Looks into `source` ({file} or {files: [{path, file}]}) and gives `tell` what it found, the last time as `done`.
 *
 * `stop()` of what it gives ends it early, as when the upload begins. `options`: {zone, budget}.
 */
export function preview(source, tell, options = {}) {
  const findings = new Findings(options);
  const said = (done) => {
    const found = findings.report();
    const total = Math.max(pace.total, found.read);
    const partial = done ? pace.isOver || pace.skipped : true;
    tell({ ...found, total, bytes: pace.bytes, done, partial, position: pace.at, refused });
  };
  const pace = new Pace(options.budget ?? BUDGET, () => said(false));
  let refused = "";
  const ended = (async () => {
    if (source.files) await walkFolder(findings, source.files, pace);
    else refused = await walkFile(findings, source.file, pace);
    said(true);
  })();
  return { ended, stop: () => pace.stop(), pictureSources: () => findings.pictureSources() };
}
