// To which study a file belongs that is no image: by the folders it shares with images; as src/scandock/rules/loose_files.py.

import { foldersOf, placeOf, splitBase } from "./layout.js";

const MANY = 8; // distinct studies that are counted for one folder: one is a home, more are just many

/** Folders that hold images; `add` the images first, then ask `homeOf` of every other file. */
export class FolderIndex {
  #root = node();

  /** Counts an image: the names of the archives around it, its own name, its study's key. */
  add(outer, path, study) {
    const { folders } = placeOf(path);
    let at = this.#root;
    note(at, study);
    for (const piece of piecesOf(outer, folders).pieces) {
      if (!at.children.has(piece)) at.children.set(piece, node());
      at = at.children.get(piece);
      note(at, study);
    }
  }

  /** The key of the study that a file belongs to; null where it belongs to none, or could to several. */
  homeOf(outer, path) {
    const place = placeOf(path, outer);
    if (place.resource === null) {
      const { top, pieces } = piecesOf(outer, place.folders);
      const way = this.#way(pieces).slice(top).reverse();
      return only(way.find((one) => one.studies.size > 0));
    }
    let [spotOuter, where] = [outer, place];
    if (placeOf(path).resource === null) {
      const at = outer.findLastIndex((name) => placeOf(name).resource !== null);
      [spotOuter, where] = [outer.slice(0, at), placeOf(outer[at])];
    }
    const { top, pieces } = piecesOf(spotOuter, where.folders);
    const depth = top + where.sessionDepth;
    const way = this.#way(pieces.slice(0, depth + 2));
    if (way.length <= depth) return null;
    if (where.scanFolder !== null && way.length === depth + 3) {
      const home = only(way[depth + 2]);
      if (home !== null) return home;
    }
    return only(way[depth]);
  }

  #way(pieces) {
    const way = [this.#root];
    for (const piece of pieces) {
      const child = way.at(-1).children.get(piece);
      if (child === undefined) break;
      way.push(child);
    }
    return way;
  }
}

const node = () => ({ studies: new Set(), children: new Map() });

function note(at, study) {
  if (at.studies.size < MANY) at.studies.add(study);
}

function only(at) {
  return at !== undefined && at.studies.size === 1 ? [...at.studies][0] : null;
}

/** The pieces of a place in the one tree of the upload, and how many lead to its archive's top. */
function piecesOf(outer, folders) {
  const pieces = [];
  for (const name of outer) {
    const [folder, base] = splitBase(name);
    pieces.push(...foldersOf(folder), base + "!");
  }
  return { top: pieces.length, pieces: [...pieces, ...folders] };
}
