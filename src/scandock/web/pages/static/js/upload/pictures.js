// Pictures of studies in cells `td.up-picture[data-study]`: an icon, which the cell comes with, until the worker has made a
// picture of one image; that until the server's thumbnail is there.

import { root } from "../site.js";
import { make } from "./dom.js";
import { onPicture } from "./worker_client.js";

const MOST = 1000; // pictures that are kept, of 36 kB at most
const pictures = new Map(); // by the key of the study: {width, height, rgba}
const thumbnails = new Map(); // by the key of the study: the path of the server's

onPicture((study, picture) => {
  pictures.set(study, picture);
  for (const [oldest] of pictures) {
    if (pictures.size <= MOST) break;
    pictures.delete(oldest);
  }
  refill(study);
});

/** The picture of a study: {width, height, rgba}; null where none was made. */
export const pictureFor = (study) => pictures.get(study) ?? null;

/** Let the server's thumbnail of a study, as an import's sessions name it, take the place of what is shown. */
export function takeThumbnail(study, path) {
  if (!path || thumbnails.get(study) === path) return;
  thumbnails.set(study, path);
  refill(study);
}

/** Show in a cell what there is of its study; a cell that is made later than the picture has to be filled. */
export function fillPicture(cell) {
  const { study } = cell.dataset;
  const path = thumbnails.get(study);
  if (path !== undefined) {
    const image = make("img", { alt: "", decoding: "async" });
    image.addEventListener("load", () => cell.replaceChildren(image));
    image.addEventListener("error", () => {
      thumbnails.delete(study); // it can't be had: what was shown before stays
    });
    image.src = root + path;
  }
  const picture = pictureFor(study);
  if (picture !== null && !cell.querySelector("img")) cell.replaceChildren(painted(picture));
}

function refill(study) {
  for (const cell of document.querySelectorAll("td.up-picture")) if (cell.dataset.study === study) fillPicture(cell);
}

function painted({ width, height, rgba }) {
  const canvas = make("canvas", { width, height, "aria-hidden": "true" });
  canvas.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
  return canvas;
}
