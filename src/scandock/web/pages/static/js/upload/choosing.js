// What was dropped or chosen: archives, folders, single images, and what is none of them, told at once.

import { foreign, HEAD, kindOf, looksLikeDicom, STREAMS } from "./kinds.js";
import { zipDirectory } from "./zip_directory.js";

const ACCEPTED = "Scandock takes zip, tar, tar.gz and the like, folders, and single DICOM or ECAT 7 files.";

/** {picks: [{name, file} or {name, files}, each with `handle`], refused: [{name, why}], tables: [File]} of a drop.
 *
 * A table is a CSV that names studies: it is never an archive.
 */
export async function fromDrop(transfer) {
  const dropped = [...transfer.items].filter((item) => item.kind === "file").map(taken);
  const archives = [];
  const picks = [];
  for (const { entry, file, handle } of dropped) {
    if (entry?.isDirectory) picks.push({ name: entry.name, files: await filesOf(entry), handle: await handle });
    else if (file) archives.push({ file, handle: await handle });
  }
  return sorted(archives, picks);
}

/** The same of a file input, or of one for folders. */
export async function fromInput(input) {
  const files = [...input.files];
  if (!input.webkitdirectory) return sorted(files.map((file) => ({ file, handle: null })), []);
  if (!files.length) return { picks: [], refused: [], tables: [] };
  const [name] = files[0].webkitRelativePath.split("/");
  const inside = files.map((file) => ({ path: file.webkitRelativePath, file }));
  return { picks: [{ name: name || "folder", files: inside, handle: null }], refused: [], tables: [] };
}

/** The same of what the browser's pickers give. */
export async function fromHandles(handles) {
  const archives = [];
  const picks = [];
  for (const handle of handles) {
    if (handle.kind === "file") archives.push({ file: await handle.getFile(), handle });
    else picks.push(await fromHandle(handle));
  }
  return sorted(archives, picks);
}

/** The files of a folder by its stored handle. */
export async function fromHandle(handle) {
  if (handle.kind === "file") return { name: handle.name, file: await handle.getFile(), handle };
  const files = [];
  await walk(handle, handle.name, files);
  return { name: handle.name, files, handle };
}

async function walk(folder, path, files) {
  for await (const one of folder.values()) {
    const inside = `${path}/${one.name}`;
    if (one.kind === "directory") await walk(one, inside, files);
    else files.push({ path: inside, file: await one.getFile() });
  }
}

/** What an item is has to be asked at once: it is gone when the event is over. Handles crash plain http's tabs. */
function taken(item) {
  const stores = window.isSecureContext && typeof item.getAsFileSystemHandle === "function";
  const handle = stores ? item.getAsFileSystemHandle().catch(() => null) : null;
  return { entry: item.webkitGetAsEntry?.() ?? null, file: item.getAsFile(), handle };
}

async function filesOf(folder) {
  const reader = folder.createReader();
  const files = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return files;
    for (const entry of some) {
      if (entry.isDirectory) files.push(...(await filesOf(entry)));
      else files.push({ path: entry.fullPath.slice(1), file: await new Promise((resolve, reject) => entry.file(resolve, reject)) });
    }
  }
}

/** Archives each by itself; single images together, as a folder of them. */
async function sorted(archives, picks) {
  const [images, refused] = [[], []];
  const tables = archives.map(({ file }) => file).filter(isTable);
  for (const { file, handle } of archives.filter((one) => !isTable(one.file))) {
    const kind = await kindOfFile(file).catch(() => "unreadable");
    if (kind === "image") images.push({ path: file.name, file, handle });
    else if (kind === "") picks.push({ name: file.name, file, handle });
    else if (kind === "unreadable") refused.push({ name: file.name, why: "It can't be read." });
    else refused.push({ name: file.name, why: `It is ${kind}. ${ACCEPTED}` });
  }
  if (images.length === 1) picks.push({ name: images[0].path, file: images[0].file, handle: images[0].handle });
  if (images.length > 1) picks.push({ name: `${images.length} images`, files: images, handle: null });
  const empty = picks.filter((one) => one.files && !one.files.length);
  for (const one of empty) refused.push({ name: one.name, why: "The folder is empty." });
  return { picks: picks.filter((one) => !empty.includes(one)), refused, tables };
}

const isTable = (file) => /\.(csv|tsv)$/i.test(file.name);

/** "" for an archive, "image", or what it is instead. */
async function kindOfFile(file) {
  const head = new Uint8Array(await file.slice(0, HEAD).arrayBuffer());
  const kind = kindOf(head);
  if (kind === "dicom" || kind === "ecat" || looksLikeDicom(head, file.size)) return "image";
  if (kind === "tar" || STREAMS.has(kind) || (await zipDirectory(file)) !== null) return "";
  if (kind === "zip") return "a zip that is damaged or was cut";
  if (kind === "document") return "an office document";
  return foreign(kind) || (kind === "empty" ? "an empty file" : "neither an archive nor an image");
}
