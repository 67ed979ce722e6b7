// Wanted elements of a DICOM data set straight from its bytes (PS3.5 7): explicit VR of either byte order, and implicit.
//
// As src/scandock/formats/dicom_scan.py reads them, up to a tag: nothing recurses, and each step moves on by eight bytes
// at least. `Short` says that the bytes at hand end before; `Odd` that only a whole reader can tell.

import { LONG, SHORT } from "./kinds.js";

export const UNDEFINED = 0xffffffff;
export const ITEM = 0xfffee000;
export const ITEM_END = 0xfffee00d;
const SEQUENCE_END = 0xfffee0dd;
const VALUE_BYTES = 16384;
export const PIXELS = 0x7fe00008;

export class Short extends Error {
  constructor(need) {
    super(`${need} bytes are needed`);
    this.need = need;
  }
}

export class Odd extends Error {}

/** Reads elements of `bytes` from one offset on; `number`, `length`, `start` describe the element it stands at. */
export class Cursor {
  constructor(bytes, pos, explicit, big) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.pos = pos;
    this.explicit = explicit;
    this.little = !big;
    this.number = 0;
  }

  u16(at) {
    return this.view.getUint16(at, this.little);
  }

  u32(at) {
    return this.view.getUint32(at, this.little);
  }

  /** The tag at `at`, as group * 65536 + element. */
  tag(at) {
    return this.u16(at) * 65536 + this.u16(at + 2);
  }

  vr(at) {
    return String.fromCharCode(this.bytes[at], this.bytes[at + 1]);
  }

  /** Looks at the element at `pos`. Throws Short, Odd. */
  look() {
    const { pos } = this;
    if (pos + 8 > this.bytes.length) throw new Short(pos + 12);
    this.number = this.tag(pos);
    this.start = pos + 8;
    this.kind = "";
    if (!this.explicit) {
      this.length = this.u32(pos + 4);
      return;
    }
    this.kind = this.vr(pos + 4);
    if (SHORT.has(this.kind)) {
      this.length = this.u16(pos + 6);
    } else if (LONG.has(this.kind)) {
      if (pos + 12 > this.bytes.length) throw new Short(pos + 12);
      this.length = this.u32(pos + 8);
      this.start = pos + 12;
    } else if (this.number === ITEM_END || this.number === SEQUENCE_END) {
      this.length = this.u32(pos + 4);
    } else {
      throw new Odd("a value representation that is none");
    }
  }

  /** The offset behind the element that was looked at. */
  behind() {
    if (this.length !== UNDEFINED) return this.start + this.length;
    return afterSequence(this, this.start);
  }
}

/** The wanted values (raw bytes by tag) of a data set, up to and with the tag `last`.
 *
 * `end` is "last" (it came beyond that tag, or to the pixels), "short" (with `need`) or "odd".
 */
export function scan(bytes, at, explicit, big, wanted, last) {
  const cursor = new Cursor(bytes, at, explicit, big);
  const values = new Map();
  const said = { values, end: "last", need: 0, number: 0, pos: at };
  try {
    for (;;) {
      said.pos = cursor.pos;
      cursor.look();
      said.number = cursor.number;
      if (cursor.number > last || cursor.number >= PIXELS) break;
      if (wanted.has(cursor.number) && cursor.length !== UNDEFINED) {
        const stop = cursor.start + Math.min(cursor.length, VALUE_BYTES);
        if (stop > bytes.length) throw new Short(stop);
        values.set(cursor.number, bytes.slice(cursor.start, stop));
      }
      cursor.pos = cursor.behind();
    }
  } catch (error) {
    if (error instanceof Short) [said.end, said.need] = ["short", error.need];
    else if (error instanceof Odd) said.end = "odd";
    else throw error;
  }
  return said;
}

/** The offset behind a sequence of undefined length whose first item stands at `pos`; depth costs a list entry. */
function afterSequence(cursor, start) {
  const { bytes } = cursor;
  const outer = [];
  let [pos, inside, explicit] = [start, false, cursor.explicit];
  const room = (wanted) => {
    if (pos + wanted > bytes.length) throw new Short(pos + wanted + 8);
  };
  for (;;) {
    room(8);
    if (!inside) {
      const tag = cursor.tag(pos);
      const length = cursor.u32(pos + 4);
      pos += 8;
      if (tag === ITEM) {
        if (length !== UNDEFINED) {
          pos += length;
          continue;
        }
        outer.push(explicit);
        room(6);
        explicit = explicit && /[A-Z]{2}/.test(cursor.vr(pos + 4));
        inside = true;
      } else if (tag !== SEQUENCE_END) {
        throw new Odd("no item where one is due");
      } else if (outer.length) {
        inside = true;
      } else {
        return pos;
      }
      continue;
    }
    if (cursor.tag(pos) === ITEM_END) {
      [pos, inside, explicit] = [pos + 8, false, outer.pop()];
      continue;
    }
    const inner = new Cursor(bytes, pos, explicit, !cursor.little);
    inner.look();
    pos = inner.start;
    if (inner.length === UNDEFINED) inside = false;
    else pos += inner.length;
  }
}
