// What was chosen before the page was reloaded, with one button that brings it back.

import { plural } from "../live/figures.js";
import { button, make, set, show } from "./dom.js";

/** The element, with `refresh(count)`; `acts`: {restore, discard}. */
export function restoreView(acts) {
  const restore = button("", () => acts.restore(), { kind: "primary" });
  const words = make("span", { class: "grow" });
  const element = make("p", { class: "bar up-restore", hidden: true }, words, restore, button("Discard", () => acts.discard()));
  element.refresh = (count) => {
    set(words, `${count === 1 ? "An archive was" : `${plural(count, "archive")} were`} chosen here and not uploaded.`);
    set(restore, `Restore ${plural(count, "archive")}`);
    show(element, count > 0);
  };
  return element;
}
