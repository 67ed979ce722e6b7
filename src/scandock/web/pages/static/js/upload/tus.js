// Resumable uploads (tus 1.0): what the server is asked for by ourselves, and the bytes by tus-js-client.

import { importOf, ME, mapping, UPLOADS, upload as addressOf } from "../addresses.js";
import { csrf, renewCsrf, root, statics, user } from "../site.js";

const VERSION = { "Tus-Resumable": "1.0.0" };
// Else a 401 bears WWW-Authenticate, for which a browser asks a password of its own, and no answer comes meanwhile.
const OURS = { "X-Requested-With": "XMLHttpRequest" };
// A connection that was lost without a word would hang for as long as the machine's own patience, a quarter of an hour.
const SILENT = 60_000;
const UNANSWERED = 600_000; // once all bytes went: the server answers when they are on its disk
let loading = null;

/** What the server refused, with its words; `status` 0: it was not reached. */
export class Refusal extends Error {
  constructor(status, { code = "", detail = "", remedy = "", title = "" } = {}, retryAfter = 0) {
    super([detail || title || (status ? `The server answered ${status}.` : "Can't reach the server."), remedy].filter(Boolean).join(" "));
    Object.assign(this, { status, code, retryAfter });
  }
}

async function told(path, options) {
  const headers = { ...VERSION, ...OURS, ...options.headers, "X-CSRF-Token": csrf() };
  let answer;
  try {
    answer = await fetch(root + path, { ...options, headers, credentials: "same-origin" });
  } catch {
    throw new Refusal(0);
  }
  if (answer.ok) return answer;
  throw new Refusal(answer.status, await answer.json().catch(() => ({})), Number(answer.headers.get("Retry-After")) || 0);
}

/** Make an upload; gives its id. `key` lets a creation whose answer was lost be found again. */
export async function create(size, fields, key) {
  const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
  const named = Object.entries(fields).filter(([, value]) => value !== "");
  const answer = await told(UPLOADS, {
    method: "POST",
    headers: {
      "Upload-Length": String(size),
      "Upload-Metadata": named.map(([name, value]) => `${name} ${base64(value)}`).join(","),
      "Idempotency-Key": key,
    },
  });
  return answer.headers.get("Location").split("/").at(-1);
}

/** Say where the studies of an upload go; before its last byte. */
export async function giveMapping(id, text) {
  await told(mapping(id), { method: "PUT", headers: { "Content-Type": "text/csv" }, body: text });
}

/** Give an upload up: nothing stays of it. */
export async function discard(id) {
  await told(addressOf(id), { method: "DELETE" });
}

/** One's own uploads whose bytes still come, the newest first. */
export async function unfinished() {
  const answer = await told(UPLOADS, { method: "GET" });
  return (await answer.json()).items.filter((one) => one.state === "receiving");
}

/** Ask how far an upload is; one whose bytes are all there is imported then, if it was not yet. */
export async function finish(id) {
  await told(addressOf(id), { method: "HEAD" });
}

/** The state of an upload's import; "cancelled" where it was deleted, as one's own stays in sight, and "" where nobody answers. */
export async function stateOf(id) {
  try {
    return (await (await told(importOf(id), { method: "GET" })).json()).state;
  } catch (error) {
    return error.status === 404 ? "cancelled" : "";
  }
}

/** Who is logged in now, and whether that is who this page is of: a login that ended may have given way to another one,
 * in another tab. Its token is taken, so that what the page asks from now on is asked by it. */
export async function renew() {
  const answer = await told(ME, { method: "GET" });
  const { name, csrf: fresh } = await answer.json();
  const same = name === user;
  if (same && fresh) renewCsrf(fresh);
  return { name, same };
}

function client() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = `${statics}/vendor/tus.min.js`;
    script.addEventListener("load", () => resolve(window.tus));
    script.addEventListener("error", () => {
      loading = null;
      reject(new Refusal(0));
    });
    document.head.append(script);
  });
  return loading;
}

/** Send what the server has not yet of `blob`; `progress(sent)` is told. Gives {ended, abort}; `ended` throws Refusal. */
export async function send(id, blob, progress) {
  const { Upload } = await client();
  let [upload, cut, silence] = [null, null, null];
  const heard = (patience) => {
    clearTimeout(silence);
    silence = setTimeout(abort, patience);
  };
  const ended = new Promise((resolve, reject) => {
    cut = reject;
    upload = new Upload(blob, {
      uploadUrl: root + addressOf(id),
      headers: { "X-CSRF-Token": csrf(), ...OURS },
      retryDelays: null, // how often, and after how long, is decided in transfer.js
      storeFingerprintForResuming: false,
      onShouldRetry: () => false,
      onProgress: (sent) => {
        heard(sent < blob.size ? SILENT : UNANSWERED);
        progress(sent);
      },
      onSuccess: resolve,
      onError: (error) => reject(refusalOf(error)),
    });
    upload.start();
  });
  const abort = () => {
    upload.abort();
    cut(new Refusal(0));
  };
  heard(SILENT);
  return { ended: ended.finally(() => clearTimeout(silence)), abort };
}

function refusalOf(error) {
  const response = error.originalResponse;
  if (!response || response.getStatus() === 0) return new Refusal(0);
  let body = {};
  try {
    body = JSON.parse(response.getBody());
  } catch {
    // A proxy's own answer, or none: the status has to do.
  }
  return new Refusal(response.getStatus(), body, Number(response.getHeader("Retry-After")) || 0);
}

/** A key that no other upload has; `randomUUID` is missing on plain http. */
export function freshKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
