// Whether a name was to be a known one; as difflib's get_close_matches has it, by which src/scandock/rules/mapping.py asks.

const LONGEST = 64; // characters of a name that may be a slip
const LIKE = 0.75;

/** Whether `name` is the beginning of a known one, or nearly all of it. */
export function isSlip(name, known) {
  const letters = [...name];
  if (letters.length > LONGEST) return false;
  return known.some((one) => one.startsWith(name) || likeness([...one], letters) >= LIKE);
}

/** Twice the letters in blocks that both have in one order, by the letters of both (Ratcliff and Obershelp). */
function likeness(one, other) {
  return one.length + other.length ? (2 * shared(one, other)) / (one.length + other.length) : 1;
}

function shared(one, other) {
  const [at, to, size] = longest(one, other);
  if (!size) return 0;
  return size + shared(one.slice(0, at), other.slice(0, to)) + shared(one.slice(at + size), other.slice(to + size));
}

/** The longest block that both have: the first in `one`, and of those the first in `other`. */
function longest(one, other) {
  let best = [0, 0, 0];
  let before = [];
  one.forEach((letter, at) => {
    const now = [];
    other.forEach((same, to) => {
      if (letter !== same) return;
      now[to] = (before[to - 1] ?? 0) + 1;
      if (now[to] > best[2]) best = [at - now[to] + 1, to - now[to] + 1, now[to]];
    });
    before = now;
  });
  return best;
}
