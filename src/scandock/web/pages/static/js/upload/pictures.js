// Pictures of studies in cells `td.up-picture[data-study]`: an icon, which the cell comes with, until the worker has made a
// picture of one image; that until the server's thumbnail is there.

import { root } from "../site.js";
import { make } from "./dom.js";
import { onPicture } from "./worker_client.js";

const MOST = 1000; // pictures that are kept, of 36 kB at most
const pictures = new Map(); // by the key of the study: {width, height, rgba}

onPicture((study, picture) => {
  pictures.set(study, picture);
  const [oldest] = pictures.keys();
  if (pictures.size > MOST) pictures.delete(oldest);
  for (const cell of document.querySelectorAll("td.up-picture")) if (cell.dataset.study === study) fillPicture(cell);
});

/** Show in a cell the picture of its study, where there is one by now. */
export function fillPicture(cell) {
  const picture = pictures.get(cell.dataset.study);
  if (picture === undefined || cell.querySelector("img")) return;
  const { width, height, rgba } = picture;
  const canvas = make("canvas", { width, height, "aria-hidden": "true" });
  canvas.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
  cell.replaceChildren(canvas);
}

/** Let the server's thumbnail at `path` take the place of what a cell shows; that stays where there is none. */
export function showThumbnail(cell, path) {
  if (cell.dataset.thumbnail === path) return;
  cell.dataset.thumbnail = path;
  const image = make("img", { alt: "", decoding: "async" });
  image.addEventListener("load", () => cell.dataset.thumbnail === path && cell.replaceChildren(image));
  image.src = root + path;
}
