// A small picture of a frame, through the window that the viewer shows first; as src/scandock/viewing/rendering.py.

import { presetsOf, table } from "../viewer/windows.js";
import { chooseFrame, decodeFrame } from "./pixel_decode.js";
import { readPixelHeader } from "./pixel_header.js";

const LARGEST = 96; // pixels of a picture's longer side
const MOST_PIXELS = 32 * 1024 * 1024; // of a frame that is decoded
const SAMPLE = 250_000; // values that percentiles are told from
const PERCENTILES = [0.005, 0.995];

/** The picture of an object: {width, height, rgba, number}, the last of the frame that is shown; null where there is none.
 *
 * `read(n)` gives its first n bytes; `decodeJpeg` as `decodeFrame` has it.
 */
export async function pictureOf(read, decodeJpeg) {
  const header = await readPixelHeader(read);
  if (header === null || header.rows * header.columns > MOST_PIXELS) return null;
  const number = chooseFrame(header);
  let frame = await decodeFrame(header, number, read, decodeJpeg);
  if (header.tiles && frame?.numbers) frame = cut(frame, header.tiles, number);
  if (!frame?.numbers && !frame?.rgba) return null;
  const said = header.frame(header.tiles ? 0 : number);
  const rgba = frame.rgba ?? greys({ ...frame, ...said, signed: header.signed, invert: header.invert });
  return { ...shrink(rgba, frame.columns, frame.rows, said.spacing), number };
}

function cut({ columns, numbers }, tiles, number) {
  const [top, left] = [Math.floor(number / tiles.across) * tiles.rows, (number % tiles.across) * tiles.columns];
  const own = new Uint16Array(tiles.rows * tiles.columns);
  for (let row = 0; row < tiles.rows; row += 1) {
    const from = (top + row) * columns + left;
    own.set(numbers.subarray(from, from + tiles.columns), row * tiles.columns);
  }
  return { rows: tiles.rows, columns: tiles.columns, numbers: own };
}

function greys(frame) {
  const automatic = frame.windows.length ? null : automaticWindow(frame);
  const [{ window }] = presetsOf({ ...frame, automatic }, "");
  const shades = table(frame, window, false);
  const pixels = new Uint32Array(frame.numbers.length);
  for (let at = 0; at < pixels.length; at += 1) pixels[at] = shades[frame.numbers[at]];
  return new Uint8ClampedArray(pixels.buffer);
}

/** A window over all but the outermost values, without padding; as src/scandock/viewing/windows.py. */
export function automaticWindow({ rows, columns, numbers, signed, slope, intercept, padding }) {
  const begin = signed ? -32768 : 0;
  const step = Math.max(1, Math.floor(Math.sqrt(numbers.length / SAMPLE)));
  const counts = new Uint32Array(65536); // by value
  let total = 0;
  for (let row = 0; row < rows; row += step) {
    for (let column = 0; column < columns; column += step) {
      const raw = numbers[row * columns + column];
      counts[(signed && raw > 32767 ? raw - 65536 : raw) - begin] += 1;
      total += 1;
    }
  }
  if (padding) {
    const [from, to] = padding.map((value) => Math.min(Math.max(value - begin, 0), 65535));
    const padded = counts.subarray(from, to + 1).reduce((sum, count) => sum + count, 0);
    if (padded < total) {
      counts.fill(0, from, to + 1);
      total -= padded;
    }
  }
  let [low, high] = PERCENTILES.map((part) => percentile(counts, total, part) + begin);
  if (!(high > low)) [low, high] = [counts.findIndex(Boolean) + begin, counts.findLastIndex(Boolean) + begin];
  [low, high] = [low * slope + intercept, high * slope + intercept].sort((one, other) => one - other);
  const least = 1e-6 * Math.max(Math.abs(low), Math.abs(high), 1e-6);
  return { center: (low + high) / 2, width: Math.max(high - low, least), function: "linear_exact" };
}

/** As numpy.percentile, linear between the two nearest ranks. */
function percentile(counts, total, part) {
  const rank = part * (total - 1);
  const [low, rest] = [Math.floor(rank), rank - Math.floor(rank)];
  let [passed, first] = [0, -1];
  for (let value = 0; value < counts.length; value += 1) {
    passed += counts[value];
    if (first < 0 && passed > low) first = value;
    if (passed > low + 1 || (first >= 0 && rest === 0)) return first + rest * (value - first);
  }
  return first;
}

/** At most LARGEST pixels on its longer side, in the proportions that the spacing says; never enlarged. */
function shrink(rgba, columns, rows, spacing) {
  const [down, across] = spacing ?? [1, 1];
  const [wide, high] = [columns * across, rows * down];
  const scale = Math.min(LARGEST / Math.max(wide, high), 1 / Math.min(down, across));
  const width = Math.min(LARGEST, Math.max(1, round(wide * scale)));
  const height = Math.min(LARGEST, Math.max(1, round(high * scale)));
  const narrow = averaged(rgba, { lines: rows, from: columns, to: width, step: 4, line: 4 * columns });
  const small = averaged(narrow, { lines: width, from: rows, to: height, step: 4 * width, line: 4 });
  return { width, height, rgba: transposed(small, width, height) };
}

/** As Python rounds: halves to the even number. */
function round(value) {
  const whole = Math.round(value);
  return Math.abs(value % 1) === 0.5 && whole % 2 ? whole - 1 : whole;
}

/** Lines of pixels shrunk from one length to another by the average of those that each new pixel stands for. The lines
 * of the answer are written one behind the other. */
function averaged(rgba, { lines, from, to, step, line }) {
  const made = new Uint8ClampedArray(4 * lines * to);
  const scale = from / to;
  const span = Math.max(scale, 1);
  for (let place = 0; place < to; place += 1) {
    const center = (place + 0.5) * scale;
    const offset = (at) => (at - center + 0.5) * (1 / span); // within the span from -0.5, without it, to 0.5
    let first = Math.max(0, Math.floor(center - span / 2 + 0.5));
    let last = Math.min(from, Math.floor(center + span / 2 + 0.5));
    if (offset(first) <= -0.5) first += 1;
    if (offset(last - 1) > 0.5) last -= 1;
    if (last <= first) [first, last] = [Math.min(first, from - 1), Math.min(first, from - 1) + 1];
    for (let number = 0; number < lines; number += 1) {
      const target = 4 * (number * to + place);
      for (let color = 0; color < 4; color += 1) {
        let sum = 0;
        for (let at = first; at < last; at += 1) sum += rgba[number * line + at * step + color];
        made[target + color] = sum / (last - first);
      }
    }
  }
  return made;
}

/** Columns that were written as lines, as a picture. */
function transposed(columns, width, height) {
  const made = new Uint8ClampedArray(columns.length);
  for (let x = 0; x < width; x += 1) {
    for (let y = 0; y < height; y += 1) {
      const from = 4 * (x * height + y);
      made.set(columns.subarray(from, from + 4), 4 * (y * width + x));
    }
  }
  return made;
}
