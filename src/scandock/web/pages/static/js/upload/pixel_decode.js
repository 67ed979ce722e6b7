// Pixels of one frame: uncompressed in either byte order, RLE Lossless (PS3.5 G) and JPEG baseline; all else is not
// decoded here. Numbers come as 16 bits, colors as RGBA.

import { u32 } from "./blocks.js";

const RLE = "1.2.840.10008.1.2.5";
const JPEG = "1.2.840.10008.1.2.4.50";
const NATIVE = new Set(["", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"]);
const MOST = 16 * 1024 * 1024; // bytes up to the end of the frame that is shown, where there are several
const ITEM = 0xfffee000;

/** The frame to show: the one in the middle, or the first where that is far into a large object. */
export function chooseFrame(header) {
  const middle = header.count >> 1;
  if (header.tiles) return header.tiles.count >> 1;
  if (header.isEncapsulated) return middle;
  return header.start + (middle + 1) * frameBytes(header) <= MOST ? middle : 0;
}

function frameBytes({ rows, columns, samples, allocated, photometric }) {
  const perPixel = photometric === "YBR_FULL_422" ? 2 : samples;
  return rows * columns * perPixel * (allocated / 8);
}

/** One frame, or null where it can't be decoded here: {rows, columns, numbers} (16 bits each, two's complement where the
 * header says signed) or {rows, columns, rgba}.
 *
 * `read(n)` gives the object's first n bytes; `decodeJpeg(bytes)` {width, height, rgba} of a JPEG.
 */
export async function decodeFrame(header, number, read, decodeJpeg) {
  const { rows, columns, samples, allocated, syntax } = header;
  if (!rows || !columns || ![8, 16].includes(allocated) || ![1, 3].includes(samples)) return null;
  if (header.hasModalityLut || header.stored > allocated) return null;
  if (header.isEncapsulated) {
    if (syntax !== RLE && syntax !== JPEG) return null;
    const fragment = await fragmentOf(header, number, read);
    if (fragment === null) return null;
    if (syntax === JPEG) return fromJpeg(header, await decodeJpeg(withColors(header, fragment)));
    const raw = unpackRle(header, fragment);
    return raw && pixelsOf(header, raw, { big: true, planar: samples > 1 });
  }
  if (!NATIVE.has(syntax)) return null;
  const size = frameBytes(header);
  const start = header.start + (header.tiles ? 0 : number) * size;
  const bytes = header.whole ?? (await read(start + size + 1));
  const raw = bytes.subarray(start, start + size + (size % 2)); // swapped by words, where it is
  if (raw.length < size) return null;
  const isSwapped = header.big && allocated === 8 && header.kind === "OW";
  return pixelsOf(header, isSwapped ? swapped(raw) : raw, { big: header.big, planar: header.planar === 1 && samples > 1 });
}

function swapped(raw) {
  const turned = raw.slice();
  for (let at = 0; at + 1 < raw.length; at += 2) [turned[at], turned[at + 1]] = [raw[at + 1], raw[at]];
  return turned;
}

/** Samples in the order of the frame, to numbers or colors. */
function pixelsOf(header, raw, { big, planar }) {
  const { rows, columns, samples, allocated, stored, signed, photometric } = header;
  const count = rows * columns;
  const values = new Uint16Array(allocated === 8 ? raw : words(raw, big));
  if (photometric === "PALETTE COLOR") return { rows, columns, ...throughPalettes(header, values) };
  if (samples === 1) {
    const unused = 16 - stored;
    if (signed) for (let at = 0; at < count; at += 1) values[at] = (values[at] << (16 + unused)) >> (16 + unused);
    else if (unused && stored < allocated) for (let at = 0; at < count; at += 1) values[at] &= (1 << stored) - 1;
    return { rows, columns, numbers: values };
  }
  const shift = Math.max(0, stored - 8);
  const rgba = new Uint8ClampedArray(4 * count).fill(255);
  const is422 = photometric === "YBR_FULL_422" && !header.isEncapsulated;
  for (let at = 0; at < count; at += 1) {
    for (let sample = 0; sample < 3; sample += 1) {
      let from = planar ? sample * count + at : 3 * at + sample;
      if (is422) from = sample === 0 ? 2 * (at - (at % 2)) + (at % 2) : 2 * (at - (at % 2)) + 1 + sample;
      rgba[4 * at + sample] = values[from] >> shift;
    }
  }
  if (photometric.startsWith("YBR_FULL")) toRgb(rgba);
  return { rows, columns, rgba };
}

function words(raw, big) {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const values = new Uint16Array(raw.length >> 1);
  for (let at = 0; at < values.length; at += 1) values[at] = view.getUint16(2 * at, !big);
  return values;
}

/** YBR_FULL to RGB (PS3.3 C.7.6.3.1.2). */
function toRgb(rgba) {
  for (let at = 0; at < rgba.length; at += 4) {
    const [y, blue, red] = [rgba[at], rgba[at + 1] - 128, rgba[at + 2] - 128];
    rgba[at] = y + 1.402 * red;
    rgba[at + 1] = y - 0.114 * (1.772 / 0.587) * blue - 0.299 * (1.402 / 0.587) * red;
    rgba[at + 2] = y + 1.772 * blue;
  }
}

function throughPalettes(header, values) {
  const palettes = header.palettes();
  if (palettes === null) return { rgba: null };
  const rgba = new Uint8ClampedArray(4 * values.length).fill(255);
  palettes.forEach(({ first, table, shift }, color) => {
    for (let at = 0; at < values.length; at += 1) {
      rgba[4 * at + color] = table[Math.min(Math.max(values[at] - first, 0), table.length - 1)] >> shift;
    }
  });
  return { rgba };
}

// -- encapsulated pixel data (PS3.5 A.4) -----------------------------------------------------------------------------

/** The compressed bytes of a frame; null where they are further than is read, or can't be told from those of others. */
async function fragmentOf(header, number, read) {
  const bytes = header.whole ?? (await read(MOST));
  const fragments = [];
  let offsets = null;
  let ended = false;
  let at = header.start;
  while (at + 8 <= bytes.length) {
    const tag = (bytes[at] | (bytes[at + 1] << 8)) * 65536 + (bytes[at + 2] | (bytes[at + 3] << 8));
    const [start, length] = [at + 8, u32(bytes, at + 4)];
    if (tag !== ITEM) {
      ended = true;
      break;
    }
    if (offsets === null) offsets = Array.from({ length: length >> 2 }, (_, place) => u32(bytes, start + 4 * place));
    else fragments.push({ at, start, end: start + length });
    at = start + length;
  }
  if (offsets === null || !fragments.length) return null;
  let own = fragments;
  if (header.count > 1) {
    const base = fragments[0].at;
    const isPlain = fragments.length === header.count || !ended; // a fragment a frame, as RLE and most JPEG has
    if (offsets.length === header.count) {
      const until = offsets[number + 1] ?? Infinity;
      own = fragments.filter((one) => one.at - base >= offsets[number] && one.at - base < until);
    } else if (isPlain) {
      own = fragments.slice(number, number + 1);
    } else {
      return null;
    }
  }
  if (!own.length || own.at(-1).end > bytes.length) return null;
  if (own.length === 1) return bytes.subarray(own[0].start, own[0].end);
  return new Uint8Array(await new Blob(own.map(({ start, end }) => bytes.subarray(start, end))).arrayBuffer());
}

/** Samples of an RLE frame, big-endian and one color behind the other; null where it is damaged. */
function unpackRle(header, fragment) {
  const { rows, columns, samples, allocated } = header;
  const [count, depth] = [rows * columns, allocated / 8];
  if (fragment.length < 64 || u32(fragment, 0) !== samples * depth) return null;
  const raw = new Uint8Array(count * samples * depth);
  for (let segment = 0; segment < samples * depth; segment += 1) {
    const begin = u32(fragment, 4 + 4 * segment);
    const end = segment + 1 < samples * depth ? u32(fragment, 8 + 4 * segment) : fragment.length;
    const [sample, place] = [Math.floor(segment / depth), segment % depth];
    if (!unpackSegment(fragment.subarray(begin, end), raw, sample * count * depth + place, depth, count)) return null;
  }
  return raw;
}

/** PackBits: `count` bytes to every `step`th of `raw`; whether there were as many. */
function unpackSegment(packed, raw, first, step, count) {
  let [at, done] = [0, 0];
  while (at < packed.length && done < count) {
    const head = packed[at];
    at += 1;
    if (head === 128) continue;
    const isRun = head > 128;
    const length = Math.min(isRun ? 257 - head : head + 1, count - done, isRun ? Infinity : packed.length - at);
    for (let place = 0; place < length; place += 1) raw[first + (done + place) * step] = packed[isRun ? at : at + place];
    done += length;
    at += isRun ? 1 : head + 1;
  }
  return done === count;
}

/** A JPEG whose marker of Adobe's says which colors it has: those of the header, whatever an encoder left in it. */
function withColors({ photometric, samples }, jpeg) {
  if (samples !== 3) return jpeg;
  const transform = photometric === "RGB" ? 0 : 1;
  const adobe = adobeAt(jpeg);
  if (adobe >= 0) {
    const marked = jpeg.slice();
    marked[adobe + 15] = transform;
    return marked;
  }
  const marker = [0xff, 0xee, 0, 14, 0x41, 0x64, 0x6f, 0x62, 0x65, 0, 100, 0, 0, 0, 0, transform];
  const marked = new Uint8Array(jpeg.length + marker.length);
  marked.set(jpeg.subarray(0, 2));
  marked.set(marker, 2);
  marked.set(jpeg.subarray(2), 2 + marker.length);
  return marked;
}

/** Where the marker begins; -1 where there is none, or one that is too short to say anything. */
function adobeAt(jpeg) {
  for (let at = 2; at + 16 <= jpeg.length && jpeg[at] === 0xff && jpeg[at + 1] !== 0xda; ) {
    const length = (jpeg[at + 2] << 8) | jpeg[at + 3];
    if (jpeg[at + 1] === 0xee && length >= 14) return at;
    at += 2 + length;
  }
  return -1;
}

function fromJpeg(header, picture) {
  const { rows, columns, samples } = header;
  if (picture === null || picture.width !== columns || picture.height !== rows) return null;
  if (samples === 3) return { rows, columns, rgba: picture.rgba };
  const numbers = Uint16Array.from({ length: rows * columns }, (_, at) => picture.rgba[4 * at]);
  return { rows, columns, numbers };
}
