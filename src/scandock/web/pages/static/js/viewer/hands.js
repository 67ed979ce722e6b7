// Keys, buttons, sliders and the wheel: what people do to a viewer, beside pointers on the image.

import { listenToPointers } from "./gestures.js";

const PAGE = 10;
const STEP = 1.25;
const PAN_PIXELS = 40;
const NOTCH = 50; // pixels of a wheel that has notches; a touchpad sends less at once
const GLIDE = 30; // pixels of a touchpad that go to the next slice
const LINE = 33;
const SCROLLED_MS = 250; // a page that is being scrolled goes on, though the image comes beneath the pointer

const KEYS = {
  ArrowUp: (viewer) => viewer.move(-1, true),
  ArrowDown: (viewer) => viewer.move(1, true),
  ArrowLeft: (viewer) => viewer.turn(-1, true),
  ArrowRight: (viewer) => viewer.turn(1, true),
  PageUp: (viewer) => viewer.move(-PAGE, true),
  PageDown: (viewer) => viewer.move(PAGE, true),
  Home: (viewer) => viewer.move(-viewer.stack.places, true),
  End: (viewer) => viewer.move(viewer.stack.places, true),
  " ": (viewer) => viewer.cine.toggle(),
  "+": (viewer) => viewer.zoom(STEP),
  "=": (viewer) => viewer.zoom(STEP),
  "-": (viewer) => viewer.zoom(1 / STEP),
  0: (viewer) => viewer.fit(),
  1: (viewer) => viewer.actual(),
  f: (viewer) => viewer.fullScreen(),
  i: (viewer) => viewer.invert(),
  p: (viewer) => viewer.chooseTool("pan"),
  r: (viewer) => viewer.reset(),
  s: (viewer) => viewer.chooseTool("scroll"),
  w: (viewer) => viewer.chooseTool("window"),
  z: (viewer) => viewer.chooseTool("zoom"),
};

const SHIFTED = {
  ArrowUp: (viewer) => viewer.pan(0, PAN_PIXELS),
  ArrowDown: (viewer) => viewer.pan(0, -PAN_PIXELS),
  ArrowLeft: (viewer) => viewer.pan(PAN_PIXELS, 0),
  ArrowRight: (viewer) => viewer.pan(-PAN_PIXELS, 0),
};

/** A key that fields and buttons beside the image leave to the viewer. */
function isLetter({ key, target }) {
  return key.length === 1 && key !== " " && !target.matches("input[type=number], select");
}

/** Listen to all of them; the answer ends it. */
export function listen(viewer) {
  const { parts } = viewer;
  const ending = new AbortController();
  const on = (part, kind, listener, more) => part.addEventListener(kind, listener, { signal: ending.signal, ...more });

  on(parts.place, "input", () => viewer.show(viewer.stack.at(parts.place.value - 1, viewer.stack.turn(viewer.at))));
  on(parts.turn, "input", () => viewer.show(viewer.stack.at(viewer.stack.place(viewer.at), parts.turn.value - 1)));
  on(parts.preset, "change", () => parts.preset.value && viewer.choose(parts.preset.value));
  // The field beside the changed one shows a rounded number: the window has the exact one.
  on(parts.center, "change", () => viewer.setWindow(parts.center.valueAsNumber, viewer.window?.width));
  on(parts.width, "change", () => viewer.setWindow(viewer.window?.center, parts.width.valueAsNumber));
  on(parts.invert, "click", () => viewer.invert());
  on(parts.reset, "click", () => viewer.reset());
  on(parts.fit, "click", () => viewer.fit());
  on(parts.actual, "click", () => viewer.actual());
  on(parts.full, "click", () => viewer.fullScreen());
  on(document, "fullscreenchange", () => parts.full.setAttribute("aria-pressed", String(viewer.isFullScreen)));
  on(parts.tools, "change", (event) => event.target.name === "v-tool" && viewer.chooseTool(event.target.value));
  on(parts.play, "click", () => viewer.cine.toggle());
  on(parts.rate, "change", () => (viewer.cine.rate = Number(parts.rate.value)));
  on(parts.look, "keydown", (event) => {
    if (event.target !== parts.stage && !isLetter(event)) return;
    const keys = event.shiftKey && event.key in SHIFTED ? SHIFTED : KEYS;
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act(viewer);
  });
  listenToWheel(viewer, on);
  listenToPointers(viewer, on);
  return () => ending.abort();
}

/** The wheel goes through the images, with Ctrl (as a touchpad tells of two fingers that part) it zooms at the pointer. */
function listenToWheel(viewer, on) {
  const { stage } = viewer.parts;
  let scrolled = -Infinity; // when the page was scrolled last
  let glided = 0;
  on(document, "scroll", () => (scrolled = performance.now()), { passive: true });
  on(stage, "wheel", (event) => {
    const pixels = event.deltaY * (event.deltaMode ? LINE : 1);
    if (event.ctrlKey) {
      event.preventDefault();
      const box = stage.getBoundingClientRect();
      const factor = Math.exp(-Math.min(Math.max(pixels, -NOTCH / 2), NOTCH / 2) / 100);
      viewer.zoom(factor, { x: event.clientX - box.left, y: event.clientY - box.top });
      return;
    }
    if (viewer.stack.count < 2 || !pixels || performance.now() - scrolled < SCROLLED_MS) return;
    event.preventDefault();
    if (Math.abs(pixels) >= NOTCH) glided = Math.sign(pixels) * GLIDE;
    else glided = Math.sign(glided) === -Math.sign(pixels) ? pixels : glided + pixels;
    if (Math.abs(glided) < GLIDE) return;
    viewer.move(Math.sign(glided));
    glided = 0;
  }, { passive: false });
}
