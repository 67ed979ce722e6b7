// What a picture needs of a DICOM object's header: shape and meaning of its pixels, and where they begin; as
// src/scandock/viewing/dicom_frames.py reads it.

import { latin1 } from "./blocks.js";
import { DEFLATED, encodingOf, readMeta } from "./dicom_header.js";
import { Cursor, ITEM, ITEM_END, PIXELS, Short, UNDEFINED } from "./dicom_scan.js";
import { inflateHead } from "./inflate.js";

const FIRST = 64 * 1024; // bytes that are read at first
const MOST = 8 * 1024 * 1024; // bytes of a header that is read for a picture
const INFLATED = 64 * 1024 * 1024; // bytes of a deflated data set
const PIXEL_DATA = 0x7fe00010;
const SHARED = 0x52009229;
const PER_FRAME = 0x52009230;
const [TRANSFORMATION, VOI, MEASURES] = [0x00289145, 0x00289132, 0x00289110];
const TAGS = {
  imageType: 0x00080008, samples: 0x00280002, photometric: 0x00280004, planar: 0x00280006, frames: 0x00280008,
  rows: 0x00280010, columns: 0x00280011, aspect: 0x00280034, spacing: 0x00280030, allocated: 0x00280100,
  stored: 0x00280101, representation: 0x00280103, padding: 0x00280120, paddingLimit: 0x00280121, center: 0x00281050,
  width: 0x00281051, intercept: 0x00281052, slope: 0x00281053, function: 0x00281056, shape: 0x20500020,
  imagerSpacing: 0x00181164, nominalSpacing: 0x00182010, modalityLut: 0x00283000, voiLut: 0x00283010,
  lutDescriptor: 0x00283002,
};
const PALETTE = [0x00281101, 0x00281102, 0x00281103]; // descriptors; the tables are 0x100 behind them
const FUNCTIONS = { LINEAR_EXACT: "linear_exact", SIGMOID: "sigmoid" };

/** An element: its value's place and value representation. */
class Elements {
  #found = new Map();

  constructor(bytes, { explicit, big }) {
    Object.assign(this, { bytes, explicit, big });
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.end = 0;
  }

  /** Read elements from `at` up to `until`, an item's end or the pixel data. Throws Short, Odd. */
  read(at, until = Infinity) {
    const cursor = new Cursor(this.bytes, at, this.explicit, this.big);
    for (;;) {
      this.end = cursor.pos;
      if (cursor.pos + 8 > until) return this;
      if (cursor.pos + 8 <= this.bytes.length && cursor.tag(cursor.pos) === ITEM_END) {
        this.end = cursor.pos + 8;
        return this;
      }
      cursor.look();
      const { number, start, length, kind } = cursor;
      this.#found.set(number, { start, length, kind });
      if (number >= PIXELS) return this;
      cursor.pos = cursor.behind();
      if (length !== UNDEFINED && cursor.pos > this.bytes.length) throw new Short(cursor.pos);
    }
  }

  element(tag) {
    return this.#found.get(tag);
  }

  raw(tag) {
    const { start, length } = this.element(tag) ?? { start: 0, length: 0 };
    return length === UNDEFINED ? new Uint8Array(0) : this.bytes.subarray(start, start + length);
  }

  text(tag) {
    return latin1(this.raw(tag)).replace(/\0/g, "").trim();
  }

  /** Numbers of a decimal or integer string. */
  decimals(tag) {
    const numbers = this.text(tag).split("\\").map((one) => (one.trim() === "" ? NaN : Number(one)));
    return numbers.every(Number.isFinite) ? numbers : [];
  }

  /** Numbers of US or SS; `signed` says which where the value representation is not told. */
  shorts(tag, signed = false) {
    const { start, length, kind } = this.element(tag) ?? { start: 0, length: 0, kind: "" };
    const isSigned = kind === "SS" || (kind !== "US" && signed);
    const read = (at) => (isSigned ? this.view.getInt16(at, !this.big) : this.view.getUint16(at, !this.big));
    return Array.from({ length: Math.floor(length / 2) }, (_, at) => read(start + 2 * at));
  }

  short(tag, otherwise = 0) {
    return this.shorts(tag)[0] ?? otherwise;
  }

  /** The item of a sequence at a place, or null. */
  item(tag, place = 0) {
    const element = this.element(tag);
    if (element === undefined) return null;
    const explicit = element.kind === "UN" ? false : this.explicit;
    const end = element.length === UNDEFINED ? this.bytes.length : element.start + element.length;
    let at = element.start;
    for (let passed = 0; at + 8 <= end; passed += 1) {
      const group = this.view.getUint16(at, !this.big) * 65536 + this.view.getUint16(at + 2, !this.big);
      const length = this.view.getUint32(at + 4, !this.big);
      if (group !== ITEM) return null;
      const isWanted = passed === place;
      if (isWanted || length === UNDEFINED) {
        const own = new Elements(this.bytes, { explicit, big: this.big });
        own.read(at + 8, length === UNDEFINED ? Infinity : at + 8 + length);
        if (isWanted) return own;
        at = own.end;
      } else {
        at += 8 + length;
      }
    }
    return null;
  }
}

/** The header of an object that `read(n)` gives the first n bytes of; null where it has no pixels or is an odd one. */
export async function readPixelHeader(read) {
  let wanted = FIRST;
  for (;;) {
    const bytes = await read(wanted);
    try {
      return await parse(bytes);
    } catch (error) {
      if (!(error instanceof Short) && !(error instanceof RangeError)) throw error;
      const need = Math.max(error.need ?? 0, 4 * wanted);
      if (bytes.length < wanted || need > MOST) return null;
      wanted = need;
    }
  }

  async function parse(bytes) {
    let { at, syntax } = readMeta(bytes);
    let whole = null;
    if (syntax === DEFLATED) {
      const packed = await read(INFLATED);
      bytes = whole = await inflateHead(packed.subarray(at), INFLATED);
      [at, syntax] = [0, ""];
    }
    const how = encodingOf(bytes, at, syntax);
    const elements = new Elements(bytes, how).read(at);
    const pixels = elements.element(PIXEL_DATA);
    return pixels === undefined ? null : new PixelHeader(elements, syntax, pixels, whole);
  }
}

class PixelHeader {
  /** `whole`: all bytes of a deflated data set, which `start` counts in. */
  constructor(elements, syntax, pixels, whole) {
    Object.assign(this, { elements, syntax, whole, big: elements.big, kind: pixels.kind });
    this.start = pixels.start;
    this.length = pixels.length;
    this.isEncapsulated = pixels.length === UNDEFINED;
    this.rows = elements.short(TAGS.rows);
    this.columns = elements.short(TAGS.columns);
    this.samples = elements.short(TAGS.samples, 1);
    this.planar = elements.short(TAGS.planar);
    this.allocated = elements.short(TAGS.allocated, 16);
    this.stored = elements.short(TAGS.stored, this.allocated);
    this.signed = elements.short(TAGS.representation) === 1;
    this.photometric = elements.text(TAGS.photometric);
    this.count = Math.max(1, parseInt(elements.text(TAGS.frames), 10) || 1);
    this.hasModalityLut = elements.item(TAGS.modalityLut) !== null;
    this.invert = this.photometric === "MONOCHROME1" || elements.text(TAGS.shape) === "INVERSE";
    this.tiles = this.count === 1 ? this.#mosaic() : null;
  }

  /** What holds for a frame: {slope, intercept, windows, spacing, padding}. */
  frame(number) {
    const { elements } = this;
    const own = elements.item(PER_FRAME, number);
    const shared = elements.item(SHARED);
    const group = (tag) => own?.item(tag) ?? shared?.item(tag) ?? elements;
    const of = (sequence, tag) => {
      const place = group(sequence);
      return place.element(tag) === undefined ? elements : place;
    };
    const numbers = (sequence, tag) => of(sequence, tag).decimals(tag);
    const [slope] = numbers(TRANSFORMATION, TAGS.slope);
    const [intercept] = numbers(TRANSFORMATION, TAGS.intercept);
    const scaled = slope !== undefined && intercept !== undefined && slope !== 0;
    return {
      slope: scaled ? slope : 1,
      intercept: scaled ? intercept : 0,
      windows: this.#windows(numbers(VOI, TAGS.center), numbers(VOI, TAGS.width), of(VOI, TAGS.function).text(TAGS.function)),
      spacing: this.#spacing(numbers(MEASURES, TAGS.spacing)),
      padding: this.#padding(),
    };
  }

  #windows(centers, widths, name) {
    const kind = FUNCTIONS[name] ?? "linear";
    const windows = centers.slice(0, widths.length).map((center, at) => ({ center, width: widths[at], function: kind })).filter(({ width }) => width > 0);
    const table = windows.length ? null : this.elements.item(TAGS.voiLut);
    const [entries, first, bits] = table?.shorts(TAGS.lutDescriptor, this.signed) ?? [];
    if (bits === undefined) return windows;
    const count = entries & 0xffff || 65536;
    return [{ center: first + count / 2, width: count, function: "linear" }];
  }

  #spacing(spacing) {
    const others = [TAGS.imagerSpacing, TAGS.nominalSpacing, TAGS.aspect].map((tag) => this.elements.decimals(tag));
    const found = [spacing, ...others].find((one) => one.length) ?? [];
    return found.length === 2 && Math.min(...found) > 0 ? found : null;
  }

  #padding() {
    const [from] = this.elements.shorts(TAGS.padding, this.signed);
    if (from === undefined) return null;
    const [to = from] = this.elements.shorts(TAGS.paddingLimit, this.signed);
    return [Math.min(from, to), Math.max(from, to)];
  }

  /** Each color's palette: {entries, first, table, shift}; null where one is missing or segmented. */
  palettes() {
    const palettes = PALETTE.map((tag) => {
      const [count, first, bits] = this.elements.shorts(tag, false);
      const element = this.elements.element(tag + 0x100);
      if (bits === undefined || element === undefined) return null;
      const entries = count || 65536;
      const raw = this.elements.raw(tag + 0x100);
      const wide = Math.floor(raw.length / entries) >= 2;
      const swapped = this.big && element.kind === "OW";
      const table = Uint16Array.from({ length: entries }, (_, at) => {
        if (wide) return this.big ? (raw[2 * at] << 8) | raw[2 * at + 1] : raw[2 * at] | (raw[2 * at + 1] << 8);
        return raw[swapped ? at ^ 1 : at] ?? 0;
      });
      return { first: this.signed && first > 32767 ? first - 65536 : first, table, shift: wide || bits === 16 ? 8 : 0 };
    });
    return palettes.includes(null) ? null : palettes;
  }

  /** The tiles of a Siemens mosaic: {count, across, rows, columns}; as src/scandock/viewing/dicom_mosaic.py. */
  #mosaic() {
    if (!this.elements.text(TAGS.imageType).split("\\").includes("MOSAIC")) return null;
    const count = this.#privateCount() || csaCount(this.#private(0x0029, "SIEMENS CSA HEADER", 0x10)?.raw ?? new Uint8Array(0));
    if (!(count > 1 && count <= 4096)) return null;
    const across = Math.ceil(Math.sqrt(count));
    if (this.rows < across || this.columns < across || this.rows % across || this.columns % across) return null;
    return { count, across, rows: this.rows / across, columns: this.columns / across };
  }

  #privateCount() {
    const found = this.#private(0x0019, "SIEMENS MR HEADER", 0x0a);
    if (!found) return 0;
    return found.kind === "IS" || found.kind === "DS" ? parseInt(latin1(found.raw), 10) || 0 : (this.elements.shorts(found.tag)[0] ?? 0);
  }

  #private(group, creator, offset) {
    for (let block = 0x10; block <= 0xff; block += 1) {
      if (this.elements.text(group * 65536 + block) !== creator) continue;
      const tag = group * 65536 + block * 256 + offset;
      const element = this.elements.element(tag);
      return element && { tag, kind: element.kind, raw: this.elements.raw(tag) };
    }
    return null;
  }
}

/** NumberOfImagesInMosaic of a Siemens CSA header (nipy.org/nibabel/dicom/siemens_csa.html); 0 where it does not say. */
function csaCount(raw) {
  const text = latin1(raw);
  const at = text.indexOf("NumberOfImagesInMosaic\0");
  const value = at < 0 ? "" : text.slice(at + 84 + 16, at + 84 + 16 + 12);
  return parseInt(value, 10) || 0;
}
