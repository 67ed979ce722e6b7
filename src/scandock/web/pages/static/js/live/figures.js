// Figures as the server's pages write them (src/scandock/web/pages/text_format.py).

const UNITS = ["bytes", "kB", "MB", "GB", "TB", "PB"];

export function size(count) {
  if (count === 1) return "1 byte";
  let [value, unit] = [count ?? 0, 0];
  while (value >= 999.5 && unit < UNITS.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit === 0 || value >= 99.95 ? value.toFixed(0) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** With commas between thousands, as the server writes it. */
export function number(count) {
  return String(count ?? 0).replace(/\B(?=(\d{3})+$)/g, ",");
}

export function plural(count, one, many = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/** A time to go, no finer than it can be known: "about 20 s left". */
export function left(seconds) {
  if (seconds < 10) return "a few seconds left";
  if (seconds < 90) return `about ${Math.ceil(seconds / 10) * 10} s left`;
  if (seconds < 5400) return `about ${Math.round(seconds / 60)} min left`;
  return `about ${(seconds / 3600).toFixed(1)} h left`;
}

/** "12.3 MB of 45 MB · 120 of 4,000 entries" of an import's progress. */
export function farOf({ bytes, entries }) {
  const told = [];
  if (bytes) told.push(bytes.total ? `${size(bytes.done)} of ${size(bytes.total)}` : size(bytes.done));
  if (entries?.total) told.push(`${number(entries.done)} of ${plural(entries.total, "entry", "entries")}`);
  else if (entries) told.push(plural(entries.done, "entry", "entries"));
  return told.join(" · ");
}

const WINDOW_MS = 15_000;
const LEAST_MS = 3_000;

/** How fast bytes go, over the last seconds of one stage; it says nothing before it has seen three of them. What was noted
 * before a longer time without a note counts no more. */
export class Pace {
  #seen = [];
  #stage = null;

  /** Begin anew, as after a pause: the time until then is none that bytes took. */
  anew() {
    this.#seen = [];
  }

  /** Note how far it is; gives {rate, left} in bytes a second and seconds, or null where that can't be said. */
  note(stage, bytes, now = performance.now()) {
    const last = this.#seen.at(-1) ?? { at: now, done: 0 };
    if (stage !== this.#stage || bytes.done < last.done || now - last.at > WINDOW_MS) this.anew();
    this.#stage = stage;
    this.#seen.push({ at: now, done: bytes.done });
    while (this.#seen.length > 2 && now - this.#seen[0].at > WINDOW_MS) this.#seen.shift();
    const [first] = this.#seen;
    const rate = ((bytes.done - first.done) * 1000) / (now - first.at);
    if (now - first.at < LEAST_MS || !(rate > 0)) return null;
    return { rate, left: bytes.total ? Math.max(0, bytes.total - bytes.done) / rate : null };
  }
}

/** "5.2 MB/s · about 20 s left", or nothing. */
export function paceOf(pace) {
  if (!pace) return "";
  return `${size(pace.rate)}/s` + (pace.left === null ? "" : ` · ${left(pace.left)}`);
}
