// Steps of changed labels, the last of which can be undone.

const MOST = 200; // steps that are kept

/** Each step knows what every edit was before it. Edits are maps of values that are replaced, never changed. */
export class EditHistory {
  #steps = [];
  #open = null;

  /** Make changes, `change(step)`, as one step, which is kept where it changed something or `isKept`. */
  step(change, more = {}) {
    const step = { isKept: false, ...more, before: new Map() };
    this.within(step, () => change(step));
    if (step.isKept || isChange(step)) this.#steps.push(step);
    if (this.#steps.length > MOST) this.#steps.shift();
  }

  /** Make changes that belong to a step which was made before. */
  within(step, change) {
    const outer = this.#open;
    this.#open = step;
    try {
      change();
    } finally {
      this.#open = outer;
    }
  }

  /** An edit is about to change. */
  note(edits, key) {
    if (this.#open === null) return;
    const { before } = this.#open;
    if (!before.has(edits)) before.set(edits, new Map());
    if (!before.get(edits).has(key)) before.get(edits).set(key, edits.get(key));
  }

  /** Undo the last step that changed one of the maps in `open`; gives {step, count} of edits, or null. */
  undo(open) {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      let count = 0;
      for (const [edits, keys] of step.before) {
        if (!open.has(edits)) continue; // it was taken off the list, or is sent
        for (const [key, before] of keys) {
          if (isSame(edits.get(key), before)) continue;
          count += 1;
          if (before === undefined) edits.delete(key);
          else edits.set(key, before);
        }
      }
      if (count || step.isKept) return { step, count };
    }
    return null;
  }

  get isEmpty() {
    return this.#steps.length === 0;
  }
}

const isChange = ({ before }) => [...before].some(([edits, keys]) => [...keys].some(([key, value]) => !isSame(edits.get(key), value)));

function isSame(one = {}, other = {}) {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name]);
}
