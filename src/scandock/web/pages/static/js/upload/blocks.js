// A Blob read by slices: big ones for who reads on and on, small ones for who looks here and there.

export const BLOCK = 8 * 1024 * 1024;

export class Blocks {
  #at = -1;
  #held = new Uint8Array(0);

  constructor(blob, ahead = BLOCK) {
    this.blob = blob;
    this.size = blob.size;
    this.ahead = ahead;
    this.read = 0; // bytes that were taken from the disk
  }

  /** `length` bytes from `offset` on, fewer at the end; a view that holds until the next call. */
  async at(offset, length) {
    const end = Math.min(offset + length, this.size);
    if (offset >= end || offset < 0) return new Uint8Array(0);
    if (offset < this.#at || end > this.#at + this.#held.length) {
      const until = Math.min(Math.max(end, offset + this.ahead), this.size);
      this.#held = new Uint8Array(await this.blob.slice(offset, until).arrayBuffer());
      this.#at = offset;
      this.read += this.#held.length;
    }
    return this.#held.subarray(offset - this.#at, end - this.#at);
  }
}

/** Little-endian numbers of a view of bytes. */
export const u16 = (bytes, at) => bytes[at] | (bytes[at + 1] << 8);
export const u32 = (bytes, at) => (u16(bytes, at) | (u16(bytes, at + 2) << 16)) >>> 0;
export const u64 = (bytes, at) => u32(bytes, at) + u32(bytes, at + 4) * 2 ** 32;

/** Bytes as Latin-1, one character each. */
export function latin1(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return text;
}
