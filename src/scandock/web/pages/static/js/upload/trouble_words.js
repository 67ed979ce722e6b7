// What is said of an upload that the network or the server holds up.

import { user } from "../site.js";

/** `who`: who is logged in ({name, same}), or the Refusal of who is not. */
export function loginWords(who) {
  if (who.status === 0) return wordsOf(who);
  if (who.same === false) return `Somebody else is logged in now: ${who.name}. Log in as ${user} again: it goes on by itself.`;
  return "You are logged out. Log in again, in this tab or another: it goes on by itself.";
}

/** Why it is tried again; when is said beside it. */
export function wordsOf(error) {
  if (error.status === 0) return navigator.onLine ? "Can't reach the server." : "This computer is offline. It goes on once it is online again.";
  if (error.status === 507) return `The server has no space left for it. ${error.message}`;
  if (error.status === 423) return "Another connection still writes to this upload.";
  return error.message;
}

/** Why an upload that was begun is not found any more. */
export function goneWords(error) {
  if (error.status === 410) return `${error.code ? error.message : "The server has deleted this upload."} Start again.`;
  return "You don't have access to this upload any more, or it was deleted. Retry once you have access, or start again.";
}
