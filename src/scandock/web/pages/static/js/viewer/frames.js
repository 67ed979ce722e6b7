// The frames of a scan: fetched once, kept while there is room, neighbours before they are asked for.

import { frame as addressOf, picture } from "../addresses.js";
import { ask, problemOf, Refused } from "../site.js";

const MOST_BYTES = 160 * 1024 * 1024;
const AT_ONCE = 4;
const AHEAD = 6;
const BEHIND = 2;

export class Frames {
  #kept = new Map(); // place in the stack -> frame; the first one was used longest ago
  #bytes = 0;
  #asked = new Map(); // place in the stack -> { promise, control }
  #focus = 0; // what people look at, or wait for
  #ended = false;

  /** `api`: the scan's address in the API; `tree`: the session's tree, so that the browser keeps what it has. */
  constructor(api, tree, count) {
    this.api = api;
    this.tree = tree;
    this.count = count;
  }

  /** A frame that is here; null where it is not. */
  here(at) {
    const frame = this.#kept.get(at);
    if (!frame) return null;
    this.#kept.delete(at);
    this.#kept.set(at, frame);
    return frame;
  }

  /** Say what is looked at, before it is asked for: all else has time until it is here. */
  look(at) {
    this.#focus = at;
  }

  /** The frame that is looked at, fetched where it is not here. Rejects where it can't be had, or nobody waits any more. */
  want(at) {
    if (this.#asked.size >= AT_ONCE && !this.#asked.has(at)) this.#letGo((one) => Math.abs(one - at) > AHEAD);
    return this.#get(at);
  }

  #get(at) {
    const frame = this.here(at);
    if (frame) return Promise.resolve(frame);
    const asked = this.#asked.get(at);
    if (asked) return asked.promise;
    const control = new AbortController();
    const made = { control };
    made.promise = this.#fetch(at, control.signal).finally(() => {
      if (this.#asked.get(at) === made) this.#asked.delete(at);
    });
    made.promise.catch(() => {});
    this.#asked.set(at, made);
    return made.promise;
  }

  /** Fetch what is likely to be wanted after `at`, in the direction that one moves; let go what is far from it. */
  around(at, direction, order) {
    if (this.#ended || this.#focus !== at) return; // somebody looks elsewhere by now: what they wait for must not be let go
    const wanted = [];
    for (let step = 1; step <= AHEAD; step++) wanted.push(order(at, step * direction));
    for (let step = 1; step <= BEHIND; step++) wanted.push(order(at, -step * direction));
    const near = new Set([at, ...wanted]);
    this.#letGo((one) => !near.has(one));
    for (const one of wanted) {
      if (this.#asked.size >= AT_ONCE) return;
      if (one !== null && one >= 0 && one < this.count && !this.#kept.has(one) && !this.#asked.has(one)) {
        this.#get(one).then(() => this.around(at, direction, order)).catch(() => {});
      }
    }
  }

  /** End what is asked for and `far`; it may be asked for anew at once. */
  #letGo(far) {
    for (const [one, asked] of this.#asked) {
      if (!far(one)) continue;
      asked.control.abort();
      this.#asked.delete(one);
    }
  }

  end() {
    this.#ended = true;
    for (const asked of this.#asked.values()) asked.control.abort();
    this.#kept.clear();
  }

  async #fetch(at, signal) {
    const response = await ask(addressOf(this.api, at, this.tree), { signal });
    if (!response.ok) throw new Refused(await problemOf(response));
    const frame = await this.#read(at, response, signal);
    if (!this.#ended) this.#keep(at, frame);
    return frame;
  }

  async #read(at, response, signal) {
    const facts = response.headers.get("X-Scandock-Frame");
    if (facts) {
      const said = JSON.parse(facts);
      const raw = await response.arrayBuffer();
      return { ...said, numbers: new Uint16Array(raw), bytes: raw.byteLength };
    }
    const said = await response.json();
    if (said.kind !== "colour") return { kind: "none", reason: said.reason ?? "It can't be shown.", bytes: 0 };
    const answer = await ask(picture(this.api, at, this.tree), { signal });
    if (!answer.ok || answer.headers.get("X-Scandock-Reason")) return { kind: "none", reason: "It can't be shown.", bytes: 0 };
    const bitmap = await createImageBitmap(await answer.blob());
    return { ...said, bitmap, rows: bitmap.height, columns: bitmap.width, bytes: bitmap.width * bitmap.height * 4 };
  }

  #keep(at, frame) {
    this.#kept.set(at, frame);
    this.#bytes += frame.bytes;
    for (const [one, old] of this.#kept) {
      if (this.#bytes <= MOST_BYTES || one === at) break;
      this.#kept.delete(one);
      this.#bytes -= old.bytes;
      old.bitmap?.close();
    }
  }
}
