// What comes back after a reload: archives on the server by themselves, those that were chosen by one button.

import { say, user } from "../site.js";
import { Kept } from "./kept.js";
import * as options from "./options.js";
import { archives, picks } from "./picks.js";
import { restoreView } from "./restore_view.js";
import { bringBack } from "./returned.js";

const kept = new Kept(user); // lives as long as the document
let begun = null;
let keptOptions = null;

/** The button, with `begin()` and `refresh()`; `acts`: {form, chosen(found), said(), after()}. */
export function afterReload(acts) {
  const element = restoreView({ restore, discard });

  async function restore() {
    const { picks: found, refused } = await kept.restore();
    if (found.length && keptOptions !== null) Object.assign(options.options, keptOptions);
    options.begin(acts.form);
    acts.said();
    element.refresh(kept.count);
    await acts.chosen({ picks: found, refused, tables: [] });
    acts.after();
  }

  async function discard() {
    await kept.discard();
    element.refresh(kept.count);
    say("Discarded.");
    acts.after();
  }

  element.begin = async () => {
    begun ??= Promise.all([kept.begin(), bringBack()]);
    [keptOptions] = await begun;
    element.refresh(kept.count);
  };
  element.keep = () => void kept.keep(archives.filter(({ transfer }) => !["done", "cancelled", "elsewhere"].includes(transfer?.state)), options.options);
  return element;
}

addEventListener("beforeunload", (event) => {
  if (kept.wouldLose(picks)) event.preventDefault();
});
