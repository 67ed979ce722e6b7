// The prearchive: one box for all sessions of the page, and how many are chosen.

import { plural } from "./figures.js";

/** Begin on a page. */
export function start(main) {
  const form = main.querySelector("#waiting");
  if (!form) return null;
  const boxes = [...form.querySelectorAll("input[name=session]")];
  const words = form.querySelector("[data-chosen]");
  const all = document.createElement("input");
  all.type = "checkbox";
  all.setAttribute("aria-label", "Choose all on this page");
  form.querySelector("[data-all]").replaceWith(all);
  const show = () => {
    const chosen = boxes.filter((box) => box.checked).length;
    all.checked = chosen === boxes.length;
    all.indeterminate = chosen > 0 && chosen < boxes.length;
    words.textContent = chosen ? `With ${plural(chosen, "chosen session")}` : "With the chosen sessions";
  };
  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
    show();
  });
  form.addEventListener("change", show);
  show();
  return null;
}
