// Inflating: the first bytes of a deflated entry, all of it into a Blob, or a stream.

import { crc32 } from "./crc32.js";

const FIRST = 2 * 1024; // what is fed at first: a piece is inflated whole, wanted or not
const CHUNK = 64 * 1024;

/** The first `wanted` bytes (or all, where there are fewer) that `packed` inflates to; what is damaged ends it early. */
export async function inflateHead(packed, wanted, format = "deflate-raw") {
  const stream = new DecompressionStream(format);
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader();
  const parts = [];
  let have = 0;
  const feeding = feed(writer, packed);
  try {
    while (have < wanted) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      have += value.length;
    }
  } catch {
    // The bytes end within the entry, or are damaged: what came before counts.
  }
  reader.cancel().catch(() => {});
  await feeding;
  return joined(parts, Math.min(have, wanted));
}

async function feed(writer, packed) {
  try {
    for (let [at, length] = [0, FIRST]; at < packed.length; [at, length] = [at + length, Math.min(2 * length, CHUNK)]) {
      await writer.write(packed.subarray(at, at + length));
    }
    await writer.close();
  } catch {
    // It was cancelled, or is damaged; the reader has said so.
  }
}

/** What `blob` inflates to, as a Blob; RangeError beyond `most` bytes, TypeError where it is damaged. */
export async function inflateBlob(blob, most, format = "deflate-raw") {
  const reader = blob.stream().pipeThrough(new DecompressionStream(format)).getReader();
  const parts = [];
  let have = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return new Blob(parts);
    have += value.length;
    if (have > most) {
      await reader.cancel();
      throw new RangeError(`It has more than ${most} bytes.`);
    }
    parts.push(value);
  }
}

/** Whether all data of a zip's entry are as its directory says, {method, size, crc}; `packed` is the Blob that it has there. */
export async function isWhole(packed, { method, size, crc }) {
  const stream = method === 0 ? packed.stream() : packed.stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const reader = stream.getReader();
  let [have, sum] = [0, 0];
  try {
    for (let { done, value } = await reader.read(); !done && have <= size; { done, value } = await reader.read()) {
      have += value.length;
      sum = crc32(value, sum);
    }
  } catch (error) {
    if (error.name === "NotReadableError") throw error; // the file is gone; all else is damage of its bytes
  }
  reader.cancel().catch(() => {});
  return have === size && sum === crc;
}

export function joined(parts, length) {
  if (parts.length === 1) return parts[0].subarray(0, length);
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    const piece = part.subarray(0, length - at);
    whole.set(piece, at);
    at += piece.length;
    if (at >= length) break;
  }
  return whole;
}
