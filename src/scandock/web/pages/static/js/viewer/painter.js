// A frame on a canvas, pixel by pixel through a window; the browser makes it as large as the view says, in the pixels' own
// proportions.

import { View } from "./view.js";
import { table } from "./windows.js";

const CRISP = { zoom: 2, pixels: 4 }; // from here on people look at pixels: they get edges, and are not smoothed

export class Painter {
  #context;
  #image = null;
  #greys = new Uint32Array(65536);
  #made = "";

  constructor(canvas, stage) {
    this.canvas = canvas;
    this.stage = stage;
    this.#context = canvas.getContext("2d", { alpha: false, willReadFrequently: true }); // pixels come from here and are read again
    this.frame = null;
    this.view = new View();
    this.sizes = new ResizeObserver(() => this.place());
    this.sizes.observe(stage);
  }

  /** Paint a frame; of a grey one, through `window`. */
  paint(frame, window, invert) {
    const { rows, columns } = frame;
    if (this.canvas.width !== columns || this.canvas.height !== rows) {
      this.canvas.width = columns;
      this.canvas.height = rows;
      this.#image = null;
    }
    this.frame = frame;
    if (frame.kind === "colour") this.#context.drawImage(frame.bitmap, 0, 0);
    else this.#grey(frame, window, invert);
    this.place();
  }

  #grey(frame, window, invert) {
    this.#image ??= new ImageData(frame.columns, frame.rows);
    const key = [
      frame.signed, frame.slope, frame.intercept, frame.invert, invert, window.center, window.width, window.function,
    ].join();
    if (key !== this.#made) {
      table(frame, window, invert, this.#greys);
      this.#made = key;
    }
    const pixels = new Uint32Array(this.#image.data.buffer);
    const { numbers } = frame;
    const greys = this.#greys;
    for (let at = 0; at < pixels.length; at++) pixels[at] = greys[numbers[at]];
    this.#context.putImageData(this.#image, 0, 0);
  }

  /** Put it where the view says. */
  place() {
    if (!this.frame) return;
    const [down, across] = this.frame.spacing ?? [1, 1];
    const { clientWidth: width, clientHeight: height } = this.stage;
    if (!width || !height) return;
    const image = { width: this.frame.columns * across, height: this.frame.rows * down };
    this.view.measure({ width, height }, image, Math.min(across, down));
    const box = this.view.box;
    const { style } = this.canvas;
    style.width = `${Math.max(1, Math.round(box.width))}px`;
    style.height = `${Math.max(1, Math.round(box.height))}px`;
    style.transform = `translate(${Math.round(box.left)}px, ${Math.round(box.top)}px)`;
    const crisp = this.view.zoom >= CRISP.zoom && this.view.pixelSize >= CRISP.pixels;
    style.imageRendering = crisp ? "pixelated" : "auto";
  }

  /** Column, row and value of the pixel under a pointer; null where there is none. */
  under(event) {
    const frame = this.frame;
    if (!frame) return null;
    const box = this.canvas.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * frame.columns);
    const row = Math.floor(((event.clientY - box.top) / box.height) * frame.rows);
    if (column < 0 || row < 0 || column >= frame.columns || row >= frame.rows) return null;
    if (frame.kind === "colour") {
      const [red, green, blue] = this.#context.getImageData(column, row, 1, 1).data;
      return { column, row, colour: [red, green, blue] };
    }
    const raw = frame.numbers[row * frame.columns + column];
    const number = frame.signed && raw > 32767 ? raw - 65536 : raw;
    return { column, row, value: number * frame.slope + frame.intercept };
  }

  end() {
    this.sizes.disconnect();
  }
}
