// Keys, sliders, pointers and the wheel: what people do to a viewer.

const SLICE_PIXELS = 8;
const PAGE = 10;

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
  i: (viewer) => viewer.invert(),
  r: (viewer) => viewer.reset(),
};

/** Listen to all of them; the answer ends it. */
export function listen(viewer) {
  const { parts, canvas } = viewer;
  const ending = new AbortController();
  const on = (part, kind, heard, more) => part.addEventListener(kind, heard, { signal: ending.signal, ...more });

  on(parts.place, "input", () => viewer.show(viewer.stack.at(parts.place.value - 1, viewer.stack.turn(viewer.at))));
  on(parts.turn, "input", () => viewer.show(viewer.stack.at(viewer.stack.place(viewer.at), parts.turn.value - 1)));
  on(parts.preset, "change", () => parts.preset.value && viewer.choose(parts.preset.value));
  // The field beside the changed one shows a rounded number: the window has the exact one.
  on(parts.center, "change", () => viewer.setWindow(parts.center.valueAsNumber, viewer.window?.width));
  on(parts.width, "change", () => viewer.setWindow(viewer.window?.center, parts.width.valueAsNumber));
  on(parts.invert, "click", () => viewer.invert());
  on(parts.reset, "click", () => viewer.reset());
  on(parts.play, "click", () => viewer.cine.toggle());
  on(parts.rate, "change", () => (viewer.cine.rate = Number(parts.rate.value)));
  on(parts.stage, "keydown", (event) => {
    const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act(viewer);
  });
  on(parts.stage, "wheel", (event) => {
    if (document.activeElement !== parts.stage || event.ctrlKey) return; // the page scrolls until the image is chosen
    event.preventDefault();
    viewer.move(Math.sign(event.deltaY));
  }, { passive: false });
  drag(viewer, canvas, on);
  return () => ending.abort();
}

/** Dragging: to the right widens the window, down raises its centre, which darkens the image; or it goes through slices. */
function drag(viewer, canvas, on) {
  let from = null;
  on(canvas, "pointerdown", (event) => {
    if (event.button !== 0) return;
    viewer.parts.stage.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    const { center, width } = viewer.window ?? {};
    from = { x: event.clientX, y: event.clientY, center, width, place: viewer.stack.place(viewer.at) };
  });
  on(canvas, "pointermove", (event) => {
    viewer.point(event);
    if (!from) return;
    const [right, down] = [event.clientX - from.x, event.clientY - from.y];
    const slices = viewer.section.querySelector("[data-part=drag]:checked").value === "slice";
    if (slices || viewer.painter.frame?.kind !== "grey") {
      const place = from.place + Math.round(down / SLICE_PIXELS);
      viewer.show(viewer.stack.at(place, viewer.stack.turn(viewer.at)));
    } else if (Math.abs(right) + Math.abs(down) > 2) {
      const whole = viewer.painter.frame.high - viewer.painter.frame.low || 1;
      const step = Math.max(from.width, whole / 50) / 250;
      viewer.setWindow(from.center + down * step, Math.max(from.width + right * step, step / 10));
    }
  });
  for (const kind of ["pointerup", "pointercancel"]) on(canvas, kind, () => (from = null));
  on(canvas, "pointerleave", (event) => !from && viewer.point({ ...event, clientX: -1, clientY: -1 }));
}
