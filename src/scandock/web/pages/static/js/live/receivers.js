// DICOM receivers: the page's own tables come again every two seconds, unless somebody is at work in them.

import { inReaderZone } from "../times.js";

const EVERY = 2000; // milliseconds

/** Begin; the answer ends it. */
export function start(main) {
  const parts = [...main.querySelectorAll("[data-live]")];
  if (parts.length === 0) return null;
  let timer = 0;
  let ended = false;

  async function look() {
    if (!document.hidden) await renew().catch(() => null); // a server that is away is asked again
    if (!ended) timer = setTimeout(look, EVERY);
  }

  async function renew() {
    const response = await fetch(location.href, { credentials: "same-origin" });
    if (!response.ok) return;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    if (ended) return;
    for (const part of parts) {
      const fresh = page.querySelector(`[data-live="${part.dataset.live}"]`);
      if (!fresh || part.contains(document.activeElement) || part.innerHTML === fresh.innerHTML) continue;
      part.replaceChildren(...fresh.childNodes);
      window.htmx?.process(part);
    }
    inReaderZone();
  }

  timer = setTimeout(look, EVERY);
  return () => {
    ended = true;
    clearTimeout(timer);
  };
}
