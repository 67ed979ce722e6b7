// How files come to the page: two buttons in place of the plain file field, drops, and what is pasted.

import { fromDrop, fromHandles, fromInput } from "./choosing.js";
import { button, make, set } from "./dom.js";

/** The two buttons with their hidden fields; `chosen` is given what was chosen, and `forget` called where a chooser opens
 * for new files, or is closed without any. Gives {files, folder, chooser}. */
export function fileInputs(form, chosen, forget) {
  const plain = form.querySelector(".up-plain");
  const { accept } = form.querySelector("#file");
  const hidden = { type: "file", class: "unseen", tabindex: "-1", "aria-hidden": "true" };
  const files = make("input", { ...hidden, multiple: true, id: "files", accept: `${accept},.csv,.tsv` });
  const folder = make("input", { ...hidden, webkitdirectory: true, id: "folder" });
  const opens = (input) => async () => {
    forget();
    const handles = await picked(input.webkitdirectory);
    if (handles === null) input.click();
    else if (handles.length) chosen(await fromHandles(handles));
  };
  const chooser = button("Choose archives or images", opens(files), { kind: "primary" });
  plain.parentElement.replaceChildren(chooser, button("Choose a folder", opens(folder)), files, folder);
  for (const input of [files, folder]) {
    input.addEventListener("cancel", forget);
    input.addEventListener("change", async (event) => {
      event.stopPropagation(); // the form's own choices have not changed
      const found = await fromInput(input);
      input.value = "";
      chosen(found);
    });
  }
  const words = form.querySelector("#drop-words");
  set(words, `Drop them anywhere on this page, paste or choose them. ${words.textContent}`);
  return { files, folder, chooser };
}

/** Handles by the browser's own pickers, so that files can be had again after a reload: none where nothing was chosen, null
 * where there are no such pickers. */
async function picked(isFolder) {
  const name = isFolder ? "showDirectoryPicker" : "showOpenFilePicker";
  if (!(name in window)) return null;
  try {
    return isFolder ? [await window.showDirectoryPicker()] : await window.showOpenFilePicker({ multiple: true });
  } catch (error) {
    return error.name === "AbortError" ? [] : null;
  }
}

/** Let files be dropped and pasted anywhere on the page; `place` shows that it takes them. The answer ends it. */
export function takeFiles(place, chosen) {
  place.classList.add("up-ready");
  const ofFiles = (transfer) => [...(transfer?.types ?? [])].includes("Files");
  const over = (event) => {
    if (!ofFiles(event.dataTransfer)) return;
    event.preventDefault();
    place.classList.add("up-over");
  };
  const off = () => place.classList.remove("up-over");
  const out = (event) => event.relatedTarget === null && off();
  const take = async (event, transfer) => {
    if (!ofFiles(transfer)) return; // a text that is pasted is for the field that it is pasted into
    event.preventDefault();
    chosen(await fromDrop(transfer));
  };
  const dropped = (event) => take(event, event.dataTransfer);
  const pasted = (event) => take(event, event.clipboardData);
  const heard = [["dragover", over], ["dragleave", out], ["drop", dropped], ["paste", pasted]];
  for (const [name, listener] of heard) document.addEventListener(name, listener);
  document.addEventListener("drop", off, true); // a field of its own may take the drop
  return () => {
    for (const [name, listener] of heard) document.removeEventListener(name, listener);
    document.removeEventListener("drop", off, true);
  };
}
