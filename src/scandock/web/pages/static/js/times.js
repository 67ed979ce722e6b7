// The server's times in the reader's zone. The server writes them so itself as soon as a cookie names the zone: what
// it wrote before, on the first page, is written over here. Dates of headers are no <time> and stay as they are.

import { root } from "./site.js";

const COOKIE = "scandock_zone"; // web/pages/reader_zone.py
const YEAR_S = 31_536_000;

const two = (number) => String(number).padStart(2, "0");

/** Milliseconds as `2026-11-29 14:05` where the reader is. */
export function minute(milliseconds) {
  const at = new Date(milliseconds);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

function second(milliseconds) {
  return `${minute(milliseconds)}:${two(new Date(milliseconds).getSeconds())}`;
}

function exact(milliseconds) {
  const east = -new Date(milliseconds).getTimezoneOffset();
  const far = Math.abs(east);
  return `${second(milliseconds)} UTC${east ? `${east < 0 ? "-" : "+"}${two(Math.floor(far / 60))}:${two(far % 60)}` : ""}`;
}

/** Have the server know the reader's zone, and show the page's times in it where the server did not. */
export function inReaderZone() {
  const page = document.getElementById("page");
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  if (!timeZone || page.dataset.zone === timeZone) return;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${COOKIE}=${timeZone}; Path=${root || "/"}; Max-Age=${YEAR_S}; SameSite=Lax${secure}`;
  for (const time of page.querySelectorAll("time[datetime]")) {
    const at = Date.parse(time.dateTime);
    time.textContent = "seconds" in time.dataset ? second(at) : minute(at);
    time.title = exact(at);
  }
  for (const name of page.querySelectorAll("[data-zone-name]")) name.textContent = timeZone;
}
