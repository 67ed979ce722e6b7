// Prints the picture that a page makes of each object before an upload, one JSON object a line.
import { openAsBlob } from "node:fs";
import { load } from "./modules.mjs";

const { pictureOf } = await load("picture.js");

for (const path of JSON.parse(process.argv[2]).paths) {
  const blob = await openAsBlob(path);
  const read = async (length) => new Uint8Array(await blob.slice(0, length).arrayBuffer());
  let picture = null;
  let error = "";
  try {
    picture = await pictureOf(read, async () => null);
  } catch (thrown) {
    error = thrown.stack;
  }
  const { width, height, number, rgba } = picture ?? { rgba: [] };
  process.stdout.write(JSON.stringify({ path, shown: picture !== null, width, height, number, error, rgba: Buffer.from(rgba).toString("base64") }) + "\n");
}
