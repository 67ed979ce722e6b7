// A folder as one tar: headers and references to its files, so that nothing is copied, and size and offsets are known.
//
// ustar, with pax records (POSIX.1-2017) for names that are long or not ASCII and for sizes of 8 GiB and more. The same
// files give the same bytes: they are sorted by path, and owners, modes and times are fixed but for the times of the
// files. So an upload that was cut is gone on with when the folder is chosen again.

const BLOCK = 512;
const LARGEST = 0o77777777777; // what the eleven octal digits of a size hold: 8 GiB less one byte
const ENCODER = new TextEncoder();
const ZEROS = new Uint8Array(2 * BLOCK);

/** One tar of `files` (each {path, file}), and the newest time of modification among them. */
export function tarBlob(files) {
  const sorted = files
    .map(({ path, file }) => ({ path: cleanPath(path), file }))
    .sort((one, other) => (one.path < other.path ? -1 : one.path > other.path ? 1 : 0));
  const parts = [];
  let modified = 0;
  for (const { path, file } of sorted) {
    parts.push(...head(path, file), file);
    if (file.size % BLOCK) parts.push(ZEROS.subarray(0, BLOCK - (file.size % BLOCK)));
    modified = Math.max(modified, file.lastModified || 0);
  }
  parts.push(ZEROS);
  return { blob: new Blob(parts, { type: "application/x-tar" }), modified };
}

/** A path without a leading slash, `.` and empty pieces; no piece of it climbs. */
function cleanPath(path) {
  const pieces = path.split("/").filter((piece) => piece !== "" && piece !== ".");
  return pieces.map((piece) => (piece === ".." ? "_" : piece)).join("/") || "file";
}

function head(path, file) {
  const records = [];
  const name = ENCODER.encode(path);
  const plain = name.length === path.length && split(path) !== null;
  if (!plain) records.push(record("path", path));
  if (file.size > LARGEST) records.push(record("size", String(file.size)));
  const seconds = Math.max(0, Math.floor((file.lastModified || 0) / 1000));
  const own = header(plain ? path : fallback(path), Math.min(file.size, LARGEST), "0", seconds);
  if (!records.length) return [own];
  const body = records.join("");
  const bytes = ENCODER.encode(body);
  const padded = new Uint8Array(Math.ceil(bytes.length / BLOCK) * BLOCK);
  padded.set(bytes);
  return [header("PaxHeader", bytes.length, "x", 0), padded, own];
}

/** A pax record; its length counts itself, in bytes of UTF-8. */
function record(key, value) {
  const rest = ENCODER.encode(` ${key}=${value}\n`).length;
  let length = rest + String(rest).length;
  if (String(length).length + rest !== length) length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}

/** [prefix, name] of a path that ustar holds: at most 155 and 100 characters, parted at a slash; else null. */
function split(path) {
  if (path.length <= 100) return ["", path];
  for (let at = path.indexOf("/"); at >= 0 && at <= 155; at = path.indexOf("/", at + 1)) {
    if (path.length - at - 1 <= 100) return [path.slice(0, at), path.slice(at + 1)];
  }
  return null;
}

/** A name for readers that know no pax: what of the path is ASCII, its end. */
function fallback(path) {
  return path.replace(/[^\x20-\x7e]/gu, "_").slice(-100).replace(/^\/+/, "") || "file";
}

function header(path, size, type, seconds) {
  const block = new Uint8Array(BLOCK);
  const [prefix, name] = split(path);
  const put = (at, text) => block.set(ENCODER.encode(text), at);
  const octal = (value, digits) => value.toString(8).padStart(digits, "0");
  put(0, name);
  put(100, "0000644\0");
  put(108, "0000000\0");
  put(116, "0000000\0");
  put(124, octal(size, 11) + "\0");
  put(136, octal(Math.min(seconds, LARGEST), 11) + "\0");
  put(148, "        ");
  put(156, type);
  put(257, "ustar\0" + "00");
  put(345, prefix);
  let sum = 0;
  for (const byte of block) sum += byte;
  put(148, octal(sum, 6) + "\0 ");
  return block;
}
