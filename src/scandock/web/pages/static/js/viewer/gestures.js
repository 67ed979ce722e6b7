// What pointers do on the image: one finger or the left button what the chosen tool does, two fingers zoom and move it.

const SLOP = { mouse: 2, pen: 4, touch: 8 }; // pixels that a pointer may go before it drags
const BUTTONS = ["", "pan", "zoom"]; // what the middle and the right button do, whatever tool is chosen
const ZOOM_RATE = 0.01;
const SLICE_PIXELS = [3, 12]; // least and most that one goes from a slice to the next

/** Of each tool: what is done as a pointer goes `right` and `down` from where it was pressed, at `at` of the stage. */
const DRAGS = {
  scroll: (viewer) => {
    const [place, turn] = [viewer.stack.place(viewer.at), viewer.stack.turn(viewer.at)];
    const [least, most] = SLICE_PIXELS;
    const pixels = Math.min(most, Math.max(least, viewer.parts.stage.clientHeight / viewer.stack.places));
    let across = null; // the direction in which it began: the other one must not change what is looked at
    return (right, down) => {
      across ??= Math.abs(right) > Math.abs(down) && viewer.stack.turns(place) > 1;
      if (across) viewer.show(viewer.stack.at(place, turn + Math.round(right / most)));
      else viewer.show(viewer.stack.at(place + Math.round(down / pixels), turn));
    };
  },
  window: (viewer) => {
    const { center, width } = viewer.window;
    const { low, high } = viewer.painter.frame;
    const step = Math.max(width, (high - low || 1) / 50) / 250;
    return (right, down) => viewer.setWindow(center + down * step, Math.max(width + right * step, step / 10));
  },
  pan: (viewer) => {
    let before = { right: 0, down: 0 };
    return (right, down) => {
      viewer.pan(right - before.right, down - before.down);
      before = { right, down };
    };
  },
  zoom: (viewer, at) => {
    let before = 0;
    return (_, down) => {
      viewer.zoom(Math.exp((before - down) * ZOOM_RATE), at);
      before = down;
    };
  },
};

/** Listen to pointers on the stage, by `on(element, kind, listener)`. */
export function listenToPointers(viewer, on) {
  const { stage } = viewer.parts;
  const pointers = new Map(); // id -> where it is, in the stage
  let drag = null; // of one pointer
  let pinch = null; // of two: their distance and middle

  const within = ({ clientX, clientY }) => {
    const box = stage.getBoundingClientRect();
    return { x: clientX - box.left, y: clientY - box.top };
  };
  const pinched = () => {
    const [one, other] = pointers.values();
    return {
      gap: Math.max(1, Math.hypot(one.x - other.x, one.y - other.y)),
      x: (one.x + other.x) / 2,
      y: (one.y + other.y) / 2,
    };
  };

  on(stage, "pointerdown", (event) => {
    if (event.button > 2 || pointers.size > 1) return;
    stage.focus({ preventScroll: true });
    stage.setPointerCapture(event.pointerId);
    const at = within(event);
    pointers.set(event.pointerId, at);
    const tool = BUTTONS[event.button] || viewer.tool;
    drag = pointers.size === 1 ? { tool, at, slop: SLOP[event.pointerType] ?? SLOP.touch, move: null } : null;
    pinch = pointers.size === 2 ? pinched() : null;
  });
  on(stage, "pointermove", (event) => {
    viewer.point(event);
    if (!pointers.has(event.pointerId)) return;
    const at = within(event);
    pointers.set(event.pointerId, at);
    if (pinch) {
      const now = pinched();
      viewer.pan(now.x - pinch.x, now.y - pinch.y);
      viewer.zoom(now.gap / pinch.gap, now);
      pinch = now;
    } else if (drag) {
      const [right, down] = [at.x - drag.at.x, at.y - drag.at.y];
      if (!drag.move && Math.hypot(right, down) <= drag.slop) return;
      drag.move ??= DRAGS[drag.tool](viewer, drag.at);
      drag.move(right, down);
    }
  });
  for (const kind of ["pointerup", "pointercancel", "lostpointercapture"]) {
    on(stage, kind, (event) => {
      if (pointers.delete(event.pointerId)) drag = pinch = null; // a finger that stays does nothing: it would jump
    });
  }
  on(stage, "pointerleave", () => pointers.size || viewer.point(null));
  on(stage, "mousedown", (event) => event.button === 1 && event.preventDefault()); // else the page scrolls by itself
  on(stage, "contextmenu", (event) => event.preventDefault());
}
