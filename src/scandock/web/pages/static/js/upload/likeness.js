// By what the same file or folder is told from others before it is read: names, sizes and times.

import { textHash } from "./labels.js";

/** What two choices of the same file or folder have in common. */
export function likenessOf({ name, file, files }) {
  const all = (files ?? [{ path: name, file }]).map((one) => `${one.path}\n${one.file.size}\n${one.file.lastModified}`);
  return all.sort().join("\n");
}

/** The same in 24 characters, for other tabs. */
export const briefLikeness = (source) => textHash(likenessOf(source), 24);
