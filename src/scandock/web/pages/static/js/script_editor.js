// The editor of a de-identification script: what can't be read is shown in its place while it is written.

import { answerOf, ask, reasonOf, root } from "./site.js";

const PAUSE = 500; // milliseconds without a key, then the script is read
const CUT = 60; // characters before the mark that are shown

/** Begin; gives what ends it. */
export function start(main) {
  const field = main.querySelector("#text");
  const box = main.querySelector("#error");
  const [words, code] = [box.querySelector("p"), box.querySelector("pre")];
  let timer = null;
  let asked = 0;

  function show({ ok, line, column, message, remedy }) {
    box.hidden = ok;
    field.toggleAttribute("aria-invalid", !ok);
    if (ok) return;
    words.textContent = [message, remedy].filter(Boolean).join(" ");
    code.textContent = placeOf(field.value, line, column);
  }

  async function check() {
    const number = (asked += 1);
    const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ text: field.value }) };
    try {
      const answer = await answerOf(await ask(field.dataset.check.slice(root.length), options));
      if (number === asked) show(answer);
    } catch (error) {
      if (number === asked) show({ ok: false, line: 0, column: 0, message: reasonOf(error), remedy: "" });
    }
  }

  function written() {
    clearTimeout(timer);
    timer = setTimeout(check, PAUSE);
  }

  field.addEventListener("input", written);
  const [line, column] = [Number(box.dataset.line), Number(box.dataset.column)];
  if (line) goTo(field, line, column);
  return () => clearTimeout(timer);
}

/** The line of a script with a mark under a column; "" for no line. */
export function placeOf(text, line, column) {
  if (!line) return "";
  const whole = text.split("\n")[line - 1] ?? "";
  const start = Math.max(0, column - CUT);
  const before = whole.slice(start, column - 1).replace(/[^\t]/g, " ");
  return `${String(line).padStart(4)}  ${whole.slice(start, start + 2 * CUT)}\n      ${before}^`;
}

/** Put the cursor where a script can't be read on. */
function goTo(field, line, column) {
  const before = field.value.split("\n").slice(0, line - 1);
  const at = before.reduce((sum, one) => sum + one.length + 1, 0) + column - 1;
  field.focus();
  field.setSelectionRange(at, at);
}
