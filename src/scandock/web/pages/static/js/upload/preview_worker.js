// The preview and the composing of folders in a thread of their own, so that the page stays quick.

import { fingerprint } from "./fingerprint.js";
import { decodeJpeg } from "./jpeg.js";
import { PictureMaker } from "./picture_maker.js";
import { preview } from "./preview.js";
import { tarBlob } from "./tar_blob.js";

const running = new Map();
const pictures = new PictureMaker(tellPicture, decodeJpeg);

const ACTS = {
  /** Look into a file or a folder's files; answers come as {id, found}. */
  async look({ id, file, files, options }) {
    const one = preview(files ? { files } : { file }, (found) => postMessage({ id, found }), options);
    running.set(id, one);
    await one.ended;
    await pictures.add(one.pictureSources(), () => running.has(id));
    running.delete(id);
  },

  /** The transfer begins, or the file was taken off the list. */
  stop({ id }) {
    running.get(id)?.stop();
    running.delete(id);
  },

  /** Uploads begin: no more pictures are made of what was chosen until now. */
  stopPictures() {
    pictures.stop();
  },

  /** A folder as one tar: {id, tar: {blob, modified}}. */
  compose({ id, files }) {
    postMessage({ id, tar: tarBlob(files) });
  },

  /** By what a file is known again: {id, print}. */
  async print({ id, blob, modified }) {
    postMessage({ id, print: await fingerprint(blob, modified) });
  },
};

function tellPicture(study, { width, height, rgba }) {
  postMessage({ study, picture: { width, height, rgba } }, [rgba.buffer]);
}

addEventListener("message", async ({ data }) => {
  try {
    await ACTS[data.act](data);
  } catch (error) {
    running.delete(data.id);
    console.error(error); // for who looks for the reason; the page says no more than that it failed
    postMessage({ id: data.id, act: data.act, failed: "This browser can't read it." });
  }
});
