// Members of a tar: from slices of a Blob, or from a stream that is inflated on the way (tar.gz).

import { joined } from "./inflate.js";
import { BLOCK, laidOver, parseHeader, paxRecords, upToNul } from "./tar_header.js";

const RECORD_BYTES = 1024 * 1024; // most bytes of a pax or GNU record

/** A source of `take(n)` (n bytes, fewer at the end) and `skip(n)` over the slices of a Blob. */
export class BlobBytes {
  #at = 0;

  constructor(blocks) {
    this.blocks = blocks;
  }

  get position() {
    return this.#at;
  }

  async take(length) {
    const view = await this.blocks.at(this.#at, length);
    this.#at += view.length;
    return view;
  }

  async skip(length) {
    this.#at = Math.min(this.#at + length, this.blocks.size);
  }
}

/** The same over a ReadableStream of bytes; `raw` counts what came of it. */
export class StreamBytes {
  #reader;
  #held = new Uint8Array(0);
  #ended = false;
  position = 0;

  constructor(stream) {
    this.#reader = stream.getReader();
  }

  async take(length) {
    const parts = [];
    let have = 0;
    while (have < length && (await this.#more())) {
      const part = this.#held.subarray(0, length - have);
      parts.push(part);
      have += part.length;
      this.#held = this.#held.subarray(part.length);
    }
    this.position += have;
    return parts.length ? joined(parts, have) : new Uint8Array(0);
  }

  async skip(length) {
    let left = length;
    while (left > 0 && (await this.#more())) {
      const step = Math.min(left, this.#held.length);
      this.#held = this.#held.subarray(step);
      left -= step;
    }
    this.position += length - left;
  }

  cancel() {
    return this.#reader.cancel().catch(() => {});
  }

  async #more() {
    while (!this.#held.length && !this.#ended) {
      const { done, value } = await this.#reader.read();
      if (done) this.#ended = true;
      else this.#held = value;
    }
    return this.#held.length > 0;
  }
}

/** The files of a tar, in order; each with name, size, isSpecial, and `read(n)`, its first n bytes (once, at once).
 *
 * `offset` is where its bytes stand in the source. It ends without an error where the tar is cut.
 */
export async function* tarMembers(source) {
  let pax = new Map();
  let longName = null;
  for (;;) {
    const block = await source.take(BLOCK);
    const header = parseHeader(block);
    if (header === null) {
      if (block.length < BLOCK || !block.every((byte) => byte === 0)) return;
      continue; // the blocks of zeros at its end; more members may follow, where tars were put behind each other
    }
    if ("xgLK".includes(header.flag)) {
      const body = (await source.take(Math.min(header.size, RECORD_BYTES))).slice();
      await source.skip(padded(header.size) - body.length);
      if (header.flag === "x") pax = paxRecords(body);
      if (header.flag === "L") longName = upToNul(body).slice();
      continue;
    }
    const member = laidOver(header, pax, longName);
    pax = new Map();
    longName = null;
    const start = source.position;
    const isFile = "0\0S7".includes(member.flag);
    const holds = isFile || !"123456".includes(member.flag); // links and devices have no bytes behind them
    if (!(member.flag === "5" || (isFile && member.name.endsWith("/")))) {
      let taken = 0;
      const read = async (wanted) => {
        const bytes = await source.take(Math.min(wanted, member.size - taken));
        taken += bytes.length;
        return bytes;
      };
      yield { name: member.name, size: holds ? member.size : 0, isSpecial: !isFile, offset: start, read };
    }
    if (holds) await source.skip(start + padded(member.size) - source.position);
  }
}

const padded = (size) => Math.ceil(size / BLOCK) * BLOCK;
