// Names in letters of other alphabets, as labels spell them; as src/scandock/rules/letters.py, by the same table.

const OTHER = "?";
const UNREADABLE = "\ufffd"; // stands for bytes that are no character of the object's set
const AGAIN = [1000, 2000, 4000, 8000]; // milliseconds between attempts to have the table

let table = null;
let asked = null;

class Letters {
  #firsts = [];
  #ranges = [];

  /** `text`: lines of the first and the last code point and what its characters become, behind one of where it is from. */
  constructor(text) {
    for (const line of text.split("\n").slice(1)) {
      if (!line) continue;
      const [first, last, letters = ""] = line.split(" ");
      this.#firsts.push(parseInt(first, 16));
      this.#ranges.push([parseInt(last, 16), letters]);
    }
  }

  /** A character outside ASCII in ASCII; itself where it is no letter, null where it can't be spelled. */
  spell(char) {
    const found = this.#find(char.codePointAt(0));
    if (found === undefined) return char === UNREADABLE ? null : char;
    return found === OTHER ? null : found;
  }

  #find(code) {
    let [low, high] = [0, this.#firsts.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#firsts[middle] <= code) low = middle + 1;
      else high = middle;
    }
    const [last, letters] = this.#ranges[low - 1] ?? [-1];
    return code <= last ? letters : undefined;
  }
}

/** The table, asked of the server once, and again until it answers. */
export function letters() {
  asked ??= have();
  return asked;
}

/** Take the table from its text; the page has it from the server. */
export function takeLetters(text) {
  table = new Letters(text);
  return table;
}

/** `text` with its Latin, Greek and Cyrillic letters in ASCII, or null where a letter or number of others is in it. */
export function transliterate(text) {
  if (/^[\0-\x7f]*$/.test(text)) return text;
  const spelled = [];
  for (const char of text.normalize("NFC")) {
    const letter = char <= "\x7f" ? char : table.spell(char);
    if (letter === null) return null;
    spelled.push(letter);
  }
  return spelled.join("");
}

async function have() {
  const { statics } = await import("../site.js");
  for (let attempt = 0; ; attempt += 1) {
    try {
      const answer = await fetch(`${statics}/letters.txt`);
      if (answer.ok) return takeLetters(await answer.text());
    } catch {
      // the server can't be reached: asked again
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN[Math.min(attempt, AGAIN.length - 1)]));
  }
}
