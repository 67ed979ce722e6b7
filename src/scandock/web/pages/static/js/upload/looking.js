// What one entry is, told by its first bytes: an image, an archive to be opened, or neither; as pipeline/entry_reader.py.

import { readHeader } from "./dicom_header.js";
import { readEcat } from "./ecat_header.js";
import { foreign, kindOf, looksLikeDicom, STREAMS } from "./kinds.js";
import { placeOf } from "./layout.js";
import { sha256 } from "./sha256.js";

export const HEAD = 8 * 1024; // bytes of an entry that are read first

/** Tell `findings` what an entry is; gives the kind of the archive where it is one, which the caller opens.
 *
 * `entry`: {name, size, source}, the last where its bytes can be read again; it gets `verdict`, what it is. `head` are its first
 * bytes, `more(n)` its first n.
 */
export async function look(findings, container, entry, head, more) {
  const { name, size } = entry;
  if (placeOf(name).isResourceFolder) {
    findings.resource(container, name);
    return null;
  }
  const kind = kindOf(head);
  if (kind === "zip" || kind === "tar" || STREAMS.has(kind)) return kind;
  entry.verdict = await lookAtFile(findings, container, entry, head, more, kind);
  return null;
}

/** As `look`, for what is no archive to be opened; gives what it is. */
export async function lookAtFile(findings, container, { name, size, source = null }, head, more, kind = kindOf(head)) {
  if (kind === "ecat") return ecat(findings, container, { name, size }, head, more);
  if (kind !== "dicom" && !looksLikeDicom(head, size)) {
    return findings.other(container, name, { foreign: foreign(kind) });
  }
  let header = await readHeader(head, size, { more });
  if (header.kind === "dicom" && !findings.knows(header.study, header.series)) {
    const deep = await readHeader(head, size, { more, deep: true });
    if (deep.kind === "dicom") header = deep;
  }
  if (header.kind === "dicom") return findings.dicom(container, name, header, source);
  if (header.kind === "dicomdir") return findings.dicomdir(container, name);
  if (header.kind === "unparseable") return findings.unparseable(container, name, header.code);
  if (header.kind === "unsure") return findings.unsure(container, name, "an unusual header");
  return findings.other(container, name);
}

const HASHED = 256 * 1024 * 1024;
const HASHED_NAMED = 64 * 1024 * 1024; // one that is named is hashed only to be found in other sessions

async function ecat(findings, container, { name, size }, head, more) {
  const header = readEcat(head, size);
  if (header.kind !== "ecat") return findings.unparseable(container, name, header.code);
  const named = placeOf(name).sessionFolder || header.patientId;
  const whole = size <= (named ? HASHED_NAMED : HASHED) ? await more(size) : null;
  const identity = whole === null ? [...container.outer, name].join("!") : sha256(whole);
  return findings.ecat(container, name, { ...header, hashed: whole !== null }, identity);
}
