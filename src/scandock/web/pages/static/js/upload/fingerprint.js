// By what a file that was chosen again is known: its size, its time of modification, and a hash of head and tail.

import { Sha256 } from "./sha256.js";

export const ENDS = 1024 * 1024; // bytes of the head, and of the tail, that are hashed

/** The fingerprint of a File, or of a Blob that was composed (a folder's tar, whose `modified` is the newest file's). */
export async function fingerprint(file, modified = file.lastModified ?? 0) {
  const hash = new Sha256();
  hash.update(await bytes(file.slice(0, ENDS)));
  if (file.size > ENDS) hash.update(await bytes(file.slice(Math.max(ENDS, file.size - ENDS))));
  return `v1:${file.size}:${modified}:${hash.hex()}`;
}

/** The size that a fingerprint states, so that only files of a like size need to be hashed; -1 for another's. */
export function sizeIn(text) {
  const [version, size] = String(text).split(":");
  return version === "v1" && /^\d+$/.test(size) ? Number(size) : -1;
}

async function bytes(blob) {
  return new Uint8Array(await blob.arrayBuffer());
}
