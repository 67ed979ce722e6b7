// What every page says of the server and of who is logged in.

const told = document.querySelector("meta[name=scandock]").dataset;

/** The path under which a proxy serves Scandock, without a slash at its end; "" mostly. */
export const root = told.root;

/** Where style sheets and scripts are; changes with them. */
export const statics = told.static;

/** The name of who is logged in; "" where nobody is. */
export const user = told.user;

/** Ask the API: `fetch` with the login's token where something is changed; the cookie goes along by itself. */
export function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  headers.set("X-Requested-With", "XMLHttpRequest"); // else a 401 lets the browser itself ask for a password, and hang
  if (!["GET", "HEAD"].includes((options.method ?? "GET").toUpperCase())) headers.set("X-CSRF-Token", told.csrf);
  return fetch(root + path, { ...options, headers, credentials: "same-origin" });
}

/** The login's token, for what does not go by `ask`. */
export const csrf = () => told.csrf;

/** The token of a login that came after the one by which the page was made: for all that it asks, its forms among it. */
export function renewCsrf(fresh) {
  told.csrf = fresh;
  for (const one of document.querySelectorAll("input[name=csrf]")) one.value = fresh;
}

/** What went wrong, in the server's own words (problem details, RFC 9457), as one sentence. */
export async function problemOf(response) {
  try {
    const told = await response.json();
    return [told.detail ?? told.title, told.remedy].filter(Boolean).join(" ");
  } catch {
    return `The server answered ${response.status}.`;
  }
}

/** What the server refused, in its own words. */
export class Refused extends Error {}

/** An answer of the server's as JSON; Refused where it refuses. */
export async function answerOf(response) {
  if (!response.ok) throw new Refused(await problemOf(response));
  return response.json();
}

/** Why something did not come, as people read it: the browser's own words of an error speak of programs. */
export function reasonOf(error) {
  if (error instanceof Refused) return error.message;
  return error instanceof TypeError ? "Can't reach the server." : "The server's answer can't be read. Reload the page.";
}

/** Say something to those who listen, once and politely: on a change of state, never on each number. */
export function say(sentence) {
  const line = document.getElementById("polite");
  line.textContent = "";
  requestAnimationFrame(() => (line.textContent = sentence));
}
