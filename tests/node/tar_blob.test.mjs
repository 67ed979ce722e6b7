import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import test from "node:test";
import { load } from "./modules.mjs";

const { tarBlob } = await load("tar_blob.js");
const { Blocks } = await load("blocks.js");
const { BlobBytes, StreamBytes, tarMembers } = await load("tar_stream.js");

const one = (path, content, lastModified = 1_700_000_000_000) => ({ path, file: new File([content], "x", { lastModified }) });
const LONG = `${"folder/".repeat(30)}${"n".repeat(120)}.dcm`;
const FILES = [one("b/2.dcm", "two"), one("a/1.dcm", "1".repeat(513)), one(LONG, "long"), one("ä/Größe.txt", ""), one("./c//d", "c")];

/** What Python's tarfile reads of a tar: [name, size, content] of each member. */
async function read(blob) {
  const code =
    "import sys,tarfile,io,json;t=tarfile.open(fileobj=io.BytesIO(sys.stdin.buffer.read()));" +
    "print(json.dumps([[m.name,m.size,t.extractfile(m).read().decode()] for m in t]))";
  const done = spawnSync("python3", ["-c", code], { input: Buffer.from(await blob.arrayBuffer()) });
  assert.equal(done.status, 0, String(done.stderr));
  return JSON.parse(done.stdout);
}

test("another reader finds every file with its name and bytes, sorted by path", async () => {
  const { blob } = tarBlob(FILES);
  const found = await read(blob);
  const wanted = [["a/1.dcm", 513, "1".repeat(513)], ["b/2.dcm", 3, "two"], ["c/d", 1, "c"], [LONG, 4, "long"], ["ä/Größe.txt", 0, ""]];
  assert.deepEqual(found, wanted);
});

test("the same files give the same bytes in whatever order they come; the newest time is told", async () => {
  const bytes = async (files) => Buffer.from(await tarBlob(files).blob.arrayBuffer());
  assert.ok((await bytes(FILES)).equals(await bytes([...FILES].reverse())));
  assert.equal(tarBlob([one("a", "", 5), one("b", "", 9), one("c", "", 7)]).modified, 9);
  assert.equal(tarBlob(FILES).blob.size % 512, 0);
});

test("a path that would climb stays within", async () => {
  assert.deepEqual((await read(tarBlob([one("/../../etc/passwd", "x")]).blob)).map(([name]) => name), ["_/_/etc/passwd"]);
});

test("a file of more than 8 GiB has its size in a pax record", async () => {
  const huge = { size: 9 * 2 ** 30, lastModified: 0, slice: () => new Blob([]) };
  const parts = [];
  const Real = globalThis.Blob;
  globalThis.Blob = class {
    constructor(given) {
      parts.push(...given);
    }
  };
  try {
    tarBlob([{ path: "big.dcm", file: huge }]);
  } finally {
    globalThis.Blob = Real;
  }
  const body = Buffer.from(parts[1]).toString("latin1");
  assert.match(body, /^19 size=9663676416\n/);
  assert.equal(Buffer.from(parts[0]).toString("latin1", 156, 157), "x");
  assert.equal(parts[3], huge);
});

test("the members of a composed tar are found again, by slices and in a stream", async () => {
  const { blob } = tarBlob(FILES);
  for (const source of [new BlobBytes(new Blocks(blob, 700)), new StreamBytes(blob.stream())]) {
    const found = [];
    for await (const member of tarMembers(source)) {
      found.push([member.name, member.size, Buffer.from(await member.read(5)).toString()]);
    }
    assert.deepEqual(found, [["a/1.dcm", 513, "11111"], ["b/2.dcm", 3, "two"], ["c/d", 1, "c"], [LONG, 4, "long"], ["ä/Größe.txt", 0, ""]]);
  }
});
