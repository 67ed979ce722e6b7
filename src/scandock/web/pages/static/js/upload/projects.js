// Which projects one may upload to by now: a role may be lost, or given, while the page is open.

import { UPLOAD } from "../addresses.js";
import { root } from "../site.js";
import { named, site } from "./options.js";

const BETWEEN = 2_000; // milliseconds
const listeners = new Set();
let asking = null;
let asked = -Infinity;

/** Hear that they are others; the answer ends it. */
export function onProjects(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Ask the server for the upload page, which names them: each time once for all who ask, and not more often than that. */
export function askProjects() {
  asking ??= askInTime().finally(() => (asking = null));
  return asking;
}

/** The same where sessions went out of sight: they were moved, or their whole project is out of sight. */
export async function askOfHidden(sessions) {
  const isAway = ({ now, then }) => now === "out_of_sight" && named(then.project ?? "") !== undefined;
  if (sessions.some(isAway)) await askProjects();
}

async function askInTime() {
  const wait = asked + BETWEEN - Date.now();
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  asked = Date.now();
  await read().catch(() => {}); // unanswered: what is known holds
}

async function read() {
  const answer = await fetch(root + UPLOAD, { credentials: "same-origin" });
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const told = JSON.parse(page.getElementById("upload").dataset.told);
  if (JSON.stringify(told.codes) === JSON.stringify(site.codes)) return;
  Object.assign(site, told);
  document.getElementById("projects")?.replaceChildren(...(page.getElementById("projects")?.children ?? []));
  for (const one of [...listeners]) one();
}
