// The prearchive: one box for all sessions of the page, how many are chosen, and rows that decisions have changed.

import { say } from "../site.js";
import { plural } from "./figures.js";

/** Begin on a page; the answer ends it. */
export function start(main) {
  const form = main.querySelector("#waiting");
  if (!form) return null;
  const boxes = () => [...form.elements].filter((one) => one.name === "session");
  const words = form.querySelector("[data-chosen]");
  const buttons = form.querySelectorAll("button");
  const all = document.createElement("input");
  all.type = "checkbox";
  all.setAttribute("aria-label", "Choose all on this page");
  main.querySelector("[data-all]").replaceWith(all);

  function show() {
    const count = boxes().length;
    const chosen = boxes().filter((box) => box.checked).length;
    all.checked = count > 0 && chosen === count;
    all.indeterminate = chosen > 0 && chosen < count;
    all.disabled = count === 0;
    words.textContent = chosen ? `With ${plural(chosen, "chosen session")}` : "With the chosen sessions";
    for (const button of buttons) button.disabled = chosen === 0;
  }

  /** A row has come in the place of an old one: what it says is heard, and the keyboard is where the row is. */
  function swapped() {
    const result = main.querySelector("[data-result]:not([data-heard])");
    if (result) {
      result.dataset.heard = "";
      say(result.innerText);
      (result.querySelector("button") ?? result).focus();
    }
    show();
  }

  /** Fields that were just opened are typed into at once. */
  function opened(event) {
    if (!event.target.open || !event.target.matches("[data-rename]")) return;
    const field = event.target.querySelector("[data-first]");
    field.focus();
    field.select();
  }

  main.addEventListener("change", show);
  main.addEventListener("toggle", opened, true);
  all.addEventListener("change", () => {
    for (const box of boxes()) box.checked = all.checked;
    show();
  });
  document.addEventListener("htmx:after:swap", swapped);
  show();
  return () => document.removeEventListener("htmx:after:swap", swapped);
}
