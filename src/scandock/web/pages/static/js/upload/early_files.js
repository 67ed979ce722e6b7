// The beginning of the upload page: it takes files at once, and keeps them until the rest of the page's script has come.

import { say } from "../site.js";
import { make } from "./dom.js";
import { fileInputs, takeFiles } from "./inputs.js";

/** Begin; gives what ends it when one moves on. */
export function start(main) {
  const early = new EarlyFiles(main);
  let endPage = null;
  let isOver = false;
  import("./page.js").then(
    (page) => !isOver && (endPage = page.start(main, early)),
    () => early.fail(),
  );
  return () => {
    isOver = true;
    early.end();
    endPage?.();
  };
}

/** The inputs and the drop zone. What comes is told to who connected; what came before that, at once. */
class EarlyFiles {
  #listeners = null; // {chosen, dropped, forget}
  #endDrops;
  #waiting = []; // [name of the listener, files]
  #status = make("p", { class: "help", role: "status" });

  constructor(main) {
    const drop = main.querySelector("#drop");
    this.inputs = fileInputs(main.querySelector("#upload"), (found) => this.#tell("chosen", found), () => this.#listeners?.forget());
    this.#endDrops = takeFiles(drop, (found) => this.#tell("dropped", found));
    drop.append(this.#status);
  }

  #tell(name, found) {
    if (this.#listeners) return this.#listeners[name](found);
    this.#waiting.push([name, found]);
    this.#status.textContent = "Loading the list…";
    return undefined;
  }

  /** Tell of files from now on, those first that came before; the answer ends it. */
  connect(listeners) {
    this.#listeners = listeners;
    this.#status.remove();
    for (const [name, found] of this.#waiting.splice(0)) queueMicrotask(() => listeners[name](found));
    return () => (this.#listeners = null);
  }

  fail() {
    const words = "The page did not load completely. Check your connection and reload the page.";
    this.#status.className = "problem";
    this.#status.textContent = words;
    say(words);
  }

  end() {
    this.#endDrops();
  }
}
