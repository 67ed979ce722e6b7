// The one worker of the document, asked from the page.

import { statics } from "../site.js";

let worker = null;
let count = 0;
const waiting = new Map();
const pictureListeners = new Set();

/** Let it be there before it is asked, as it takes its time to come. */
export function warm() {
  if (worker !== null) return;
  worker = new Worker(`${statics}/js/upload/preview_worker.js`, { type: "module" });
  worker.addEventListener("message", ({ data }) => {
    if (data.picture) for (const listener of pictureListeners) listener(data.study, data.picture);
    else waiting.get(data.id)?.(data);
  });
  worker.addEventListener("error", () => {
    worker = null; // who asks next tries anew, and is told as well
    for (const [id, tell] of [...waiting]) tell({ id, failed: "This browser can't look into archives." });
  });
}

function ask(act, given, told) {
  warm();
  const id = (count += 1);
  waiting.set(id, told);
  worker.postMessage({ act, id, ...given });
  return id;
}

function once(act, given, name) {
  return new Promise((resolve, reject) => {
    const id = ask(act, given, (data) => {
      waiting.delete(id);
      if (data.failed) reject(new Error(data.failed));
      else resolve(data[name]);
    });
  });
}

/** Look into {file} or {files}; `tell` is given what was found, again and again, the last time as `done`. */
export function look(source, options, tell) {
  const id = ask("look", { ...source, options }, (data) => {
    const found = data.found ?? { failed: data.failed, done: true, partial: true };
    if (found.done) waiting.delete(id);
    tell(found);
  });
  return () => worker?.postMessage({ act: "stop", id });
}

/** Hear of pictures of studies: `listener(key of the study, {width, height, rgba})`. The answer ends it. */
export function onPicture(listener) {
  pictureListeners.add(listener);
  return () => pictureListeners.delete(listener);
}

/** Make no more pictures of what was chosen until now. */
export function stopPictures() {
  worker?.postMessage({ act: "stopPictures" });
}

/** A folder's files as one tar: {blob, modified}. */
export const compose = (files) => once("compose", { files }, "tar");

/** By what a file is known again. */
export const print = (blob, modified) => once("print", { blob, modified }, "print");
