// Which part of an image is shown: how much larger than fitted into the stage, and which point is in the middle.

const LEAST = 0.5;
const MOST = 40;

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

export class View {
  zoom = 1; // 1: the whole image, as large as the stage lets it be
  x = 0.5; // the point in the middle of the stage, as parts of the image's width and height:
  y = 0.5; // so it stays the same where images or the stage have another size

  #stage = { width: 1, height: 1 };
  #image = { width: 1, height: 1 };
  #pixel = 1;

  /** `stage` in pixels of the page; `image` in mm, or pixels where these are not known; `pixel`: its shorter side. */
  measure(stage, image, pixel) {
    [this.#stage, this.#image, this.#pixel] = [stage, image, pixel];
  }

  fit() {
    [this.zoom, this.x, this.y] = [1, 0.5, 0.5];
  }

  get fitted() {
    return this.zoom === 1 && this.x === 0.5 && this.y === 0.5;
  }

  /** Where the image is in the stage. */
  get box() {
    const scale = this.#fitScale() * this.zoom;
    const [width, height] = [this.#image.width * scale, this.#image.height * scale];
    return { left: this.#stage.width / 2 - this.x * width, top: this.#stage.height / 2 - this.y * height, width, height };
  }

  /** Move the image; its middle or an edge stays within reach: some of it is always in the middle of the stage. */
  pan(right, down) {
    const { width, height } = this.box;
    this.x = clamp(this.x - right / width, 0, 1);
    this.y = clamp(this.y - down / height, 0, 1);
  }

  /** Make it larger by a factor; the point of the image at `at` (of the stage; else the middle) stays where it is. */
  zoomBy(factor, at = { x: this.#stage.width / 2, y: this.#stage.height / 2 }) {
    this.#zoomTo(clamp(this.zoom * factor, Math.min(LEAST, this.zoom), Math.max(MOST, this.zoom)), at);
  }

  /** As large that a pixel of the image is one of the screen, which has `ratio` of them in one of the page. */
  actual(ratio) {
    const middle = { x: this.#stage.width / 2, y: this.#stage.height / 2 };
    this.#zoomTo(1 / ratio / (this.#pixel * this.#fitScale()), middle);
  }

  #zoomTo(zoom, at) {
    const before = this.box;
    this.zoom = zoom;
    const { width, height } = this.box;
    const left = at.x - ((at.x - before.left) / before.width) * width;
    const top = at.y - ((at.y - before.top) / before.height) * height;
    this.x = clamp((this.#stage.width / 2 - left) / width, 0, 1);
    this.y = clamp((this.#stage.height / 2 - top) / height, 0, 1);
  }

  /** How many pixels of the page the shorter side of one of the image's has. */
  get pixelSize() {
    return this.#pixel * this.#fitScale() * this.zoom;
  }

  #fitScale() {
    const scale = Math.min(this.#stage.width / this.#image.width, this.#stage.height / this.#image.height);
    return Math.max(scale, 1e-9);
  }
}
