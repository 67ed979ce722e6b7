// Elements, made and changed: texts are texts, whatever an archive names its files.

/** An element: `make("p", {class: "help", hidden: true, on: {click}}, "text", child ...)`; nothing is parsed as HTML. */
export function make(kind, given = {}, ...children) {
  const made = document.createElement(kind);
  for (const [name, value] of Object.entries(given)) {
    if (name === "on") for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

/** Change a text only where it differs, so that nothing is read out again. */
export function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function show(element, shown) {
  if (element.hidden === shown) element.hidden = !shown;
}

/** A button that does something; `of` says to what, to those who do not see where it stands. */
export function button(words, click, { kind = "", of = "" } = {}) {
  return make("button", { type: "button", class: kind || null, "aria-label": of ? `${words}: ${of}` : null, on: { click } }, words);
}

/** A button that asks once before it does something: a question with two answers takes its place.
 *
 * {elements, allow(may)}, where `allow(false)` takes it away, with its question. `isAsked()`: whether there is something to
 * lose; else it is done at once. `of` says to what, as of `button`.
 */
export function askingButtons(words, act, { question, yes, no, kind = "", of = "", isAsked = () => true }) {
  const sure = make("span", { class: "actions", hidden: true });
  const first = button(words, () => {
    if (!isAsked()) return act();
    show(sure, true);
    show(first, false);
    return sure.querySelector("button").focus();
  }, { kind: "quiet", of });
  const close = () => {
    show(sure, false);
    show(first, true);
  };
  const does = button(yes, () => {
    close();
    act();
  }, { kind, of });
  const keeps = button(no, () => {
    close();
    first.focus();
  }, { of });
  sure.append(question, " ", does, keeps);
  const allow = (may) => {
    if (!may) show(sure, false);
    show(first, may && sure.hidden);
  };
  return { elements: [first, sure], allow };
}

/** Lets the children of `list` be those of `items` in their order: known ones are kept, and with them the focus. */
export function keyed(list, items, keyOf, build) {
  const known = new Map([...list.children].map((child) => [child.dataset.key, child]));
  let at = list.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    let child = known.get(key);
    known.delete(key);
    if (child === undefined) {
      child = build(item);
      child.dataset.key = key;
      list.insertBefore(child, at);
    } else if (child === at) {
      at = at.nextSibling;
    } else {
      list.insertBefore(child, at);
    }
  }
  for (const gone of known.values()) gone.remove();
}
