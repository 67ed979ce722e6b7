// Where an entry stands in the folder layouts that are known; as src/scandock/rules/layout.py reads them.

import { fold } from "./labels.js";

const IMAGE_RESOURCES = new Set(["dicom", "ecat", "secondary"]);
const DISK_RESOURCES = new Set(["nifti", "snapshots"]);
const MAX_FOLDERS = 256;

const remembered = new Map();

/** {sessionFolder, scanFolder, resource, isImageFolder, isResourceFolder, base, folders, rest, sessionDepth}.
 *
 * `outer`: the names of the archives around it, outermost first, asked where the name has no layout of its own.
 */
export function placeOf(path, outer = []) {
  const [folder, base] = splitBase(path);
  const place = ofFolder(folder);
  if (place.resource === null) {
    for (let at = outer.length - 1; at >= 0; at -= 1) {
      const around = ofFolder(splitBase(outer[at])[0]);
      if (around.resource === null) continue;
      return { ...around, base, folders: place.folders };
    }
  }
  return { ...place, base };
}

/** Folder part and base name; the base is empty for a name that ends in a separator, `.` or `..`. */
export function splitBase(path) {
  const cut = Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1;
  const base = path.slice(cut);
  return base === "." || base === ".." ? [path, ""] : [path.slice(0, cut), base];
}

export function foldersOf(folder) {
  const pieces = [];
  for (const piece of folder.split(/[/\\]+/)) {
    if (piece === "..") pieces.pop();
    else if (piece !== "" && piece !== ".") pieces.push(piece);
  }
  if (pieces.length <= MAX_FOLDERS) return pieces;
  return [...pieces.slice(0, MAX_FOLDERS - 1), pieces.slice(MAX_FOLDERS - 1).join("/")];
}

function ofFolder(folder) {
  let place = remembered.get(folder);
  if (place === undefined) {
    if (remembered.size > 4096) remembered.clear();
    place = read(folder);
    remembered.set(folder, place);
  }
  return place;
}

function read(folder) {
  const folders = foldersOf(folder);
  const found = find(folders.map(fold));
  if (found === null) {
    return {
      sessionFolder: null, scanFolder: null, resource: null, isImageFolder: false, isResourceFolder: false,
      folders, sessionDepth: 0,
    }; // prettier-ignore
  }
  const resource = folders[found.resource];
  const isImageFolder = IMAGE_RESOURCES.has(fold(resource));
  return {
    sessionFolder: found.session >= 0 ? folders[found.session] : null,
    scanFolder: found.scan >= 0 ? folders[found.scan] : null,
    resource,
    isImageFolder,
    isResourceFolder: !isImageFolder,
    folders,
    sessionDepth: found.session + 1,
  };
}

/** The outermost layout in folded folders: what lies in a resource is that resource's, whatever its folders. */
function find(low) {
  for (let i = 0; i < low.length; i += 1) {
    if (low[i] === "scans" && i + 2 < low.length) {
      if (low[i + 2] === "resources" && low[i + 4] === "files") return { session: i - 1, scan: i + 1, resource: i + 3 };
      if (IMAGE_RESOURCES.has(low[i + 2]) || DISK_RESOURCES.has(low[i + 2])) {
        return { session: i - 1, scan: i + 1, resource: i + 2 };
      }
    } else if (low[i] === "resources" && low[i + 2] === "files") {
      return { session: sessionBefore(low, i), scan: -1, resource: i + 1 };
    }
  }
  return null;
}

/** Index of the session folder before a session's own `resources`, past an assessor's folders. */
function sessionBefore(low, at) {
  for (const back of [2, 3]) {
    if (at >= back && low[at - back] === "assessors") return at - back - 1;
  }
  return at - 1;
}
