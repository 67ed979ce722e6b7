// htmx, by which pages are swapped within the document: brought once, after the page is painted or when it is needed.

import { statics } from "./site.js";

let bringing = null;

/** htmx, once it is there; null where it could not be brought. */
export function swapping() {
  bringing ??= new Promise((resolve) => {
    const script = document.createElement("script");
    script.src = `${statics}/vendor/htmx.min.js`;
    script.addEventListener("load", () => resolve(window.htmx));
    script.addEventListener("error", () => {
      bringing = null;
      resolve(null);
    });
    document.head.append(script);
  });
  return bringing;
}
