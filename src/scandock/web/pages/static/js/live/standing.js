// Which of my imports are under way, and how far: kept up by the events of the stream.

import { plural } from "./figures.js";

const ENDED_KEPT = 3;
export const SILENT = 120_000; // milliseconds without a byte after which an upload counts as interrupted

/** What is under way in a few words, by how many uploads and imports are: what stands still is no import under way. */
export function headingOf({ uploads = 0, imports = 0, interrupted = 0, paused = 0 }) {
  const words = [];
  if (uploads) words.push(plural(uploads, "upload"));
  if (imports) words.push(`${plural(imports, "import")} under way`);
  if (interrupted) words.push(`${plural(interrupted, "upload")} interrupted`);
  if (paused) words.push(`${plural(paused, "upload")} paused`);
  return words.join(", ");
}

export class Standing {
  #under = new Map();
  #ended = [];
  #now;

  /** `now()`: milliseconds. */
  constructor(now = Date.now) {
    this.#now = now;
  }

  /** What is under way, the newest first. */
  get under() {
    return [...this.#under.values()];
  }

  /** The last that ended while this listened, the newest first. */
  get ended() {
    return this.#ended;
  }

  /** For how many milliseconds an upload goes on before it counts as interrupted; none for other imports. */
  patience(one) {
    return one.state === "receiving" ? Math.max(0, one.heard + SILENT - this.#now()) : Infinity;
  }

  forget() {
    this.#ended = [];
  }

  /** Take an event; gives the import where its state changed, else null. */
  hear(kind, data) {
    if (kind === "begin") {
      const at = this.#now();
      this.#under = new Map(data.imports.map((one) => [one.id, { ...one, heard: one.heard ?? at - (one.silent ?? 0) }]));
      return null;
    }
    if (!data.mine) return null;
    const known = this.#under.get(data.id);
    if (kind === "outcome") {
      this.#under.delete(data.id);
      const { id, archive, state, message } = data;
      this.#ended = [{ id, archive, state, message }, ...this.#ended.filter((one) => one.id !== id)].slice(0, ENDED_KEPT);
      return { ...data, before: known?.state ?? null };
    }
    const one = known ?? { id: data.id, archive: data.archive, project: data.project, state: "receiving", progress: null };
    if (!known) this.#under = new Map([[data.id, one], ...this.#under]);
    const before = one.state;
    one.heard = this.#now();
    if (kind === "progress") {
      one.state = data.state;
      one.progress = { stage: data.stage, entries: data.entries ?? null, bytes: data.bytes };
    } else if (kind === "received") [one.state, one.progress] = ["received", null];
    else if (["running", "stage"].includes(kind)) one.state = "running"; // patients are found while bytes come, too
    else if (kind === "cancelling") one.cancelling = true;
    if (kind === "stage") one.progress = { ...(one.progress ?? { entries: null, bytes: null }), stage: data.stage };
    return one.state === before && known ? null : { ...one, before: known ? before : null };
  }
}
