import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";
import { load } from "./modules.mjs";

const { sha256, Sha256 } = await load("sha256.js");
const { fingerprint, sizeIn, ENDS } = await load("fingerprint.js");

test("the digests of FIPS 180-4's examples", () => {
  assert.equal(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  assert.equal(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
  assert.equal(sha256(two), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  assert.equal(sha256("a".repeat(1_000_000)), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
});

test("the digest of every length around a block, in one piece and in several", () => {
  for (let length = 0; length < 200; length += 1) {
    const data = Uint8Array.from({ length }, (_, at) => (at * 7 + length) & 255);
    const wanted = createHash("sha256").update(data).digest("hex");
    assert.equal(sha256(data), wanted);
    const parts = new Sha256();
    for (let at = 0; at < length; at += 13) parts.update(data.subarray(at, at + 13));
    assert.equal(parts.hex(), wanted);
  }
});

test("a file is known again by size, time, head and tail", async () => {
  const made = (change = {}) => {
    const data = new Uint8Array(2 * ENDS + 100).fill(7);
    for (const at of change.at ?? []) data[at] = 1;
    return new File([data.subarray(0, data.length - (change.shorter ?? 0))], "a.zip", { lastModified: change.when ?? 5 });
  };
  const print = await fingerprint(made());
  assert.equal(await fingerprint(made()), print);
  assert.equal(sizeIn(print), 2 * ENDS + 100);
  for (const change of [{ at: [0] }, { at: [2 * ENDS + 99] }, { when: 6 }, { shorter: 1 }]) {
    assert.notEqual(await fingerprint(made(change)), print);
  }
  assert.equal(sizeIn("of another client"), -1);
});
