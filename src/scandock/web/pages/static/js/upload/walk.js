// Archives walked in the browser, whatever lies within them: zips by their directory, tars and streams from front to end.

import { Blocks, BLOCK } from "./blocks.js";
import { crc32 } from "./crc32.js";
import { inflateBlob, inflateHead, isWhole } from "./inflate.js";
import { foreign, kindOf, looksLikeDicom, STREAMS } from "./kinds.js";
import { HEAD, look, lookAtFile } from "./looking.js";
import { placeOf, splitBase } from "./layout.js";
import { BlobSource, StreamSource } from "./object_source.js";
import { BlobBytes, StreamBytes, tarMembers } from "./tar_stream.js";
import { dataAt, zipDirectory } from "./zip_directory.js";

const MOST = 512 * 1024 * 1024; // bytes of an inner archive that is opened
const DEEPEST = 8;
const SPARSE = 512 * 1024; // entries that are longer on average are read one by one, not in blocks
const LOCAL = 30 + 512; // a local header with names of a usual length
const AT_ONCE = 16;
const SNIFF = 64 * 1024;

/** The archive that was chosen. Gives "" or, where it is none that Scandock takes, what it is. */
export async function walkFile(findings, file, pace) {
  const head = new Uint8Array(await file.slice(0, SNIFF).arrayBuffer());
  const kind = kindOf(head);
  const source = new BlobSource(() => file);
  const entry = { name: file.name ?? "", size: file.size, source };
  findings.root.source = source;
  if (kind === "dicom" || kind === "ecat" || looksLikeDicom(head, file.size)) {
    pace.found(1);
    await lookAtFile(findings, findings.root, entry, head, async (length) => bytesOf(file, length));
    return "";
  }
  if (kind !== "tar" && !STREAMS.has(kind)) {
    const entries = await zipDirectory(file);
    if (entries === null) return foreign(kind) || (kind === "empty" ? "an empty file" : "neither an archive nor an image");
    await walkZip(findings, findings.root, file, entries, pace);
    return "";
  }
  await open(findings, findings.root, file, kind, pace, 0);
  return "";
}

/** The files of a folder: {path, file}. */
export async function walkFolder(findings, files, pace) {
  pace.found(files.length);
  await eachOf(folderFirst(files, ({ path }) => path), pace, async ({ path, file }) => {
    const head = await bytesOf(file, HEAD);
    const source = new BlobSource(() => file);
    const kind = await look(findings, findings.root, { name: path, size: file.size, source }, head, (n) => bytesOf(file, n));
    if (kind !== null) await open(findings, findings.open(findings.root, path, source), file, kind, pace, 1);
  });
}

const bytesOf = async (blob, length) => new Uint8Array(await blob.slice(0, length).arrayBuffer());

async function walkZip(findings, container, blob, entries, pace, depth = 0) {
  const files = entries.filter((entry) => !entry.isFolder);
  if (files.some((entry) => entry.encrypted)) findings.problems.push("encrypted");
  pace.found(files.length, entries.reduce((sum, entry) => sum + entry.size, 0));
  const packed = files.reduce((sum, entry) => sum + entry.packed, 0);
  const blocks = new Blocks(blob, packed / Math.max(files.length, 1) > SPARSE ? SNIFF : BLOCK);
  const single = new Blocks(blob, SNIFF);
  const order = folderFirst(files, (entry) => entry.name, (one, other) => one.at - other.at);
  await eachOf(order, pace, async (entry, first) => {
    const { name } = entry;
    if (entry.isSpecial) return findings.special(container, name);
    if (entry.encrypted) return findings.unsure(container, name, "encrypted");
    if (placeOf(name).isResourceFolder) return findings.resource(container, name);
    if (entry.method !== 0 && entry.method !== 8) return findings.unsure(container, name, "packed in another way");
    const source = first ? single : blocks;
    const piece = await source.at(entry.at, LOCAL + Math.min(entry.packed, HEAD + 8192));
    const start = dataAt(entry, piece);
    if (start < 0) {
      if (depth === 0) findings.damaged.push(name);
      return findings.unsure(container, name, "damaged");
    }
    const own = piece.slice(start - entry.at, start - entry.at + entry.packed);
    return async () => {
      const more = async (length) => {
        const wanted = entry.method === 0 ? length : Math.min(entry.packed, length + 65536);
        const raw = await bytesOf(blob.slice(start, start + Math.min(wanted, entry.packed)), wanted);
        return entry.method === 0 ? raw : inflateHead(raw, length);
      };
      const head = entry.method === 0 ? own.subarray(0, HEAD) : await inflateHead(own, HEAD);
      const part = { start, packed: entry.packed, isDeflated: entry.method !== 0 };
      const object = container.source?.within(part) ?? null;
      const met = { name, size: entry.size, source: object };
      const kind = await look(findings, container, met, head, more);
      const packed = blob.slice(start, start + entry.packed);
      if (depth === 0 && (await isDamaged(packed, entry, met, head))) findings.damaged.push(name);
      if (kind === null) return;
      const inner = await innerBlob(packed, entry);
      if (inner === null) findings.unsure(container, name, "too large to look into here");
      else await open(findings, findings.open(container, name, object), inner, kind, pace, depth + 1);
    };
  });
}

/** Whether the data of an entry are damaged, as far as that was met: only one that can't be read, or is short, is read whole. */
async function isDamaged(packed, entry, { verdict }, head) {
  if (head.length === entry.size) return crc32(head) !== entry.crc;
  const isSuspect = verdict === "unparseable" || head.length < Math.min(HEAD, entry.size);
  return isSuspect && entry.size <= MOST && !(await isWhole(packed, entry));
}

async function innerBlob(packed, entry) {
  if (entry.method === 0) return packed;
  if (entry.size > MOST) return null;
  try {
    return await inflateBlob(packed, MOST);
  } catch {
    return null;
  }
}

/** An archive within; `container` is its own. */
async function open(findings, container, blob, kind, pace, depth) {
  if (depth > DEEPEST) return findings.unsure(container.parent, container.name, "too deep");
  if (kind === "tar") {
    const blocks = new Blocks(blob, BLOCK);
    return walkTar(findings, container, new BlobBytes(blocks), pace, depth, blocks);
  }
  if (kind === "gzip") return walkStream(findings, container, blob, pace, depth);
  if (kind === "zip") {
    const entries = await zipDirectory(blob);
    if (entries !== null) return walkZip(findings, container, blob, entries, pace, depth);
  }
  const why = kind === "zip" ? "damaged" : `a ${kind} archive, which only the server can open`;
  if (container.parent === null) findings.problems.push(kind);
  return findings.unsure(container.parent ?? container, container.name, why);
}

async function walkStream(findings, container, blob, pace, depth) {
  const head = await inflateHead(await bytesOf(blob, SNIFF), SNIFF, "gzip");
  const kind = kindOf(head);
  if (kind === "tar") {
    const source = new StreamBytes(blob.stream().pipeThrough(new DecompressionStream("gzip")));
    try {
      await walkTar(findings, container, source, pace, depth, null);
    } catch (error) {
      if (error.name === "NotReadableError") throw error; // the file is gone; all else is damage of its bytes
      findings.problems.push("damaged");
    } finally {
      await source.cancel();
    }
    return;
  }
  const place = container.parent ?? container;
  const entry = { name: container.name, size: Infinity };
  const more = async (length) => inflateHead(await bytesOf(blob, Math.max(length, SNIFF)), length, "gzip");
  if (kind === "dicom" || kind === "ecat" || looksLikeDicom(head)) await lookAtFile(findings, place, entry, head, more, kind);
  else findings.other(place, container.name);
}

async function walkTar(findings, container, source, pace, depth, blocks) {
  for await (const member of tarMembers(source)) {
    if (pace.isOver) return;
    if (blocks !== null) blocks.ahead = member.size > SPARSE ? SNIFF : BLOCK;
    await tarMember(findings, container, member, pace, depth, blocks);
    pace.passed(source.position);
    await pace.breath();
  }
}

async function tarMember(findings, container, member, pace, depth, blocks) {
  const { name, size, offset } = member;
  pace.found(1, size);
  if (member.isSpecial) return findings.special(container, name);
  let held = (await member.read(HEAD)).slice();
  const more = async (length) => {
    if (blocks !== null) return bytesOf(blocks.blob.slice(offset, offset + size), length);
    if (length > held.length) {
      const rest = await member.read(length - held.length);
      const longer = new Uint8Array(held.length + rest.length);
      longer.set(held);
      longer.set(rest, held.length);
      held = longer;
    }
    return held.subarray(0, length);
  };
  const isStream = blocks === null; // packed as a whole: what is in it has no place of its own
  const part = { start: offset, packed: size, isDeflated: false };
  const object = isStream ? container.source && new StreamSource(container.source, offset, size) : (container.source?.within(part) ?? null);
  const kind = await look(findings, container, { name, size, source: object }, held, more);
  if (kind === null) return undefined;
  if (size > MOST) return findings.unsure(container, name, "too large to look into here");
  const inner = blocks === null ? new Blob([await more(size)]) : blocks.blob.slice(offset, offset + size);
  return open(findings, findings.open(container, name, isStream ? null : object), inner, kind, pace, depth + 1);
}

/** The first of each folder, then the rest, each as [item, whether it is a first]. */
function folderFirst(items, nameOf, order = null) {
  const seen = new Set();
  const [firsts, rest] = [[], []];
  for (const item of items) {
    const [folder] = splitBase(nameOf(item));
    (seen.has(folder) ? rest : firsts).push(item);
    seen.add(folder);
  }
  if (order !== null) for (const some of [firsts, rest]) some.sort(order);
  return [...firsts.map((item) => [item, true]), ...rest.map((item) => [item, false])];
}

/** Handle each; what a handler gives back as a function runs beside the next ones, AT_ONCE at most. */
async function eachOf(items, pace, handle) {
  const running = new Set();
  for (const [item, first] of pace.sampled(items)) {
    if (pace.isOver) break;
    const later = await handle(item, first);
    if (typeof later === "function") {
      const one = later().finally(() => running.delete(one));
      running.add(one);
      if (running.size >= AT_ONCE) await Promise.race(running);
    }
    await pace.breath();
  }
  await Promise.all(running);
}
