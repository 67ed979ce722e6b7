// Uploads a file with tus-js-client as the JSON in the first argument says, and prints what came of it as JSON.
const fs = require("node:fs");
const tus = require("tus-js-client");

const asked = JSON.parse(process.argv[2]);
const said = { statuses: [], urls: [] };
let patches = 0;

const upload = new tus.Upload(fs.readFileSync(asked.file), {
  endpoint: asked.endpoint,
  uploadUrl: asked.url || null,
  chunkSize: asked.chunk,
  metadata: asked.metadata || {},
  headers: { Authorization: asked.authorization },
  retryDelays: asked.patient ? Array(100).fill(50) : [0, 0, 0],
  storeFingerprintForResuming: false,
  onShouldRetry: () => true,
  onBeforeRequest: (request) => {
    if (request.getMethod() !== "PATCH") return;
    patches += 1;
    if (patches === 2 && asked.wrong) request.setHeader(asked.wrong[0], asked.wrong[1]);
  },
  onAfterResponse: (request, response) => {
    said.statuses.push([request.getMethod(), response.getStatus()]);
  },
  onChunkComplete: (size, accepted) => {
    if (!asked.stopAt || accepted < asked.stopAt) return;
    upload.abort(Boolean(asked.terminate)).then(() => end("stopped"), (error) => end(String(error)));
  },
  onSuccess: () => end("done"),
  onError: (error) => end(String(error)),
});

function end(how) {
  process.stdout.write(JSON.stringify({ ...said, how, url: upload.url }), () => process.exit(0));
}

upload.start();
