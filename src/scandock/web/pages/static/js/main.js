// Begins and ends the scripts of the page that is shown. Moving about swaps `#page` within the document (hx-boost), so
// that uploads go on: a page's script is told to end before its page goes.

import { say, user } from "./site.js";
import { swapping } from "./swapping.js";
import { inReaderZone } from "./times.js";
import { eraseAll, listsOf } from "./upload/kept_store.js";

const SCRIPTS = {
  viewer: () => import("./viewer/viewer.js"),
  activity: () => import("./live/activity.js"),
  overview: () => import("./live/overview.js"),
  prearchive: () => import("./live/prearchive.js"),
  receivers: () => import("./live/receivers.js"),
  script_editor: () => import("./script_editor.js"),
  upload: () => import("./upload/early_files.js"),
};

const ERASING = 1000; // milliseconds that logging out waits at most
let ending = null;
let shown = null;

/** Start what `<main data-script=...>` names; a script exports `start(main)`, which may give a function that ends it. */
async function begin() {
  const main = document.getElementById("main");
  if (!main || main === shown) return;
  end();
  shown = main;
  inReaderZone();
  const load = SCRIPTS[main.dataset.script];
  if (!load) return;
  const script = await load();
  if (shown === main) ending = script.start(main) ?? null;
}

function end() {
  const stop = ending;
  ending = null;
  shown = null;
  if (stop) stop();
}

document.addEventListener("htmx:after:swap", () => {
  const main = document.getElementById("main");
  if (!main || main === shown) return;
  begin();
  main.focus({ preventScroll: true });
  say(document.title);
});

document.addEventListener("htmx:error", (event) => {
  if (event.detail?.ctx?.response) return; // answered: the fault is the page's own
  unanswered(
    navigator.onLine
      ? "The server does not answer. Try again in a moment."
      : "The machine is offline: the page stays as it is.",
  );
});

/** Say it where it is seen, in `main`: it is gone with the next page. */
function unanswered(sentence) {
  const main = document.getElementById("main");
  if (!main) return;
  const line = document.getElementById("unanswered") ?? document.createElement("p");
  line.id = "unanswered";
  line.className = "problem";
  line.textContent = sentence;
  main.prepend(line);
  say(sentence);
}

// A document that the browser kept whole may show a login that has ended.
window.addEventListener("pageshow", (event) => {
  if (event.persisted && user) location.reload();
});

/** Logging out erases what this browser kept of files that were chosen: for a moment, the form waits for it. */
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("form.who")) return;
  event.preventDefault();
  await Promise.race([eraseAll(), new Promise((resolve) => setTimeout(resolve, ERASING))]);
  form.submit();
});

/** What can wait until the page is seen: until then links and forms go as they do without scripts. */
async function afterwards() {
  await swapping();
  if (user) await listsOf(user); // erases what other accounts kept, and what is older than a day
  if (user) (await import("./live/tray.js")).start();
}

begin().finally(() => requestAnimationFrame(() => setTimeout(afterwards)));
