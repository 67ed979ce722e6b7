// The viewer of a scan: what is shown, by which window, how large, and who changes it.

import { say } from "../site.js";
import { Cine } from "./cine.js";
import { listen } from "./hands.js";
import { Frames } from "./frames.js";
import { HeaderPanel } from "./header_panel.js";
import { Painter } from "./painter.js";
import { Stack } from "./stack.js";
import { figure, presetsOf } from "./windows.js";

const WAIT_MS = 150;
const SPEAK_MS = 700;
const EDGES = ["left", "right", "top", "bottom"];

let lastTool = null; // what was chosen on the scan before

class Viewer {
  #wanted = 0; // the image that was gone to; it may still be on its way
  #shown = null; // the one that is painted; null: none is, or a reason stands in its place
  #pointer = null; // the last event of the pointer over the image; null: it is elsewhere
  #direction = 1;
  #speaking = 0;
  #waiting = 0;

  constructor(section, stack) {
    const { api, session, tree, modality, at } = section.dataset;
    this.section = section;
    this.modality = modality;
    this.stack = stack;
    this.parts = Object.fromEntries(
      [...section.querySelectorAll("[data-part]")].map((one) => [one.dataset.part, one]),
    );
    this.frames = new Frames(api, tree, stack.count);
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("aria-hidden", "true");
    this.header = new HeaderPanel(this.parts, session);
    this.painter = new Painter(this.canvas, this.parts.stage);
    this.preset = null; // id of the chosen one; null: set by hand, or not yet
    this.window = null;
    this.inverted = this.picked = false; // picked: somebody chose the preset
    // with a finger one goes through the images; the mouse has a wheel for that
    this.chosenTool = lastTool ?? (matchMedia("(pointer: coarse)").matches ? "scroll" : "window");
    this.cine = new Cine(() => this.play(), (on) => this.#played(on));
    this.#wanted = Math.min(Math.max(Number(at), 0), stack.count - 1);
  }

  /** Show it in the place of the still picture. */
  async begin() {
    const { stage, controls, tools, beside, full } = this.parts;
    this.section.classList.add("alive");
    controls.hidden = tools.hidden = beside.hidden = false;
    full.hidden = !document.fullscreenEnabled;
    stage.tabIndex = 0;
    stage.setAttribute("role", "group");
    stage.setAttribute("aria-describedby", "v-keys");
    this.ears = listen(this);
    await this.show(this.#wanted);
  }

  get at() {
    return this.#wanted;
  }

  /** Show an image of the stack; `spoken`: tell it to who listens, once one stops moving. */
  async show(at, spoken = false) {
    if (at === null || at < 0 || at >= this.stack.count) return;
    if (at !== this.#wanted) this.#direction = at > this.#wanted ? 1 : -1;
    this.#wanted = at;
    this.frames.look(at);
    this.#sliders();
    if (spoken) this.#speakSoon();
    const frame = this.frames.here(at) ?? (await this.#come(at));
    if (frame && this.#wanted === at) this.#paint(frame, at);
    if (this.#wanted === at) this.frames.around(at, this.#direction, (from, step) => this.stack.further(from, step));
  }

  /** Through the places, by so many. */
  move(places, spoken = false) {
    const place = Math.min(Math.max(this.stack.place(this.at) + places, 0), this.stack.places - 1);
    return this.show(this.stack.at(place, this.stack.turn(this.at)), spoken);
  }

  /** Through the images at one place. */
  turn(steps, spoken = false) {
    return this.show(this.stack.at(this.stack.place(this.at), this.stack.turn(this.at) + steps), spoken);
  }

  /** The next image of the film: through the times where there are several at a place, else through the places. */
  play() {
    const place = this.stack.place(this.at);
    const turns = this.stack.turns(place);
    if (turns > 1) return this.show(this.stack.at(place, (this.stack.turn(this.at) + 1) % turns));
    return this.show(this.stack.at((place + 1) % this.stack.places, 0));
  }

  choose(id) {
    [this.preset, this.window, this.picked] = [id, null, true];
    this.repaint();
  }

  setWindow(center, width) {
    const fields = this.parts;
    fields.center.setCustomValidity(Number.isFinite(center) ? "" : "Center is a number.");
    fields.width.setCustomValidity(width > 0 ? "" : "Width is a number above 0.");
    if (!Number.isFinite(center) || !(width > 0)) {
      for (const field of [fields.center, fields.width]) field.reportValidity();
      return;
    }
    this.preset = null;
    this.window = { center, width, function: "linear_exact" };
    this.repaint();
  }

  invert() {
    this.inverted = !this.inverted;
    this.parts.invert.setAttribute("aria-pressed", String(this.inverted));
    this.repaint();
  }

  reset() {
    this.preset = this.window = null;
    this.inverted = this.picked = false;
    this.parts.invert.setAttribute("aria-pressed", "false");
    this.painter.view.fit();
    this.repaint();
  }

  chooseTool(tool) {
    lastTool = this.chosenTool = tool;
    this.#offerTools();
    this.#speakSoon(`Tool: ${this.tool}`);
  }

  /** What one pointer does: the chosen tool, or another one where that can do nothing. */
  get tool() {
    const grey = this.painter.frame?.kind === "grey";
    if (this.chosenTool === "window" && !grey) return this.stack.count > 1 ? "scroll" : "pan";
    if (this.chosenTool === "scroll" && this.stack.count < 2) return grey ? "window" : "pan";
    return this.chosenTool;
  }

  /** Make the image larger by a factor, around a point of the stage. */
  zoom(factor, at) {
    this.#look((view) => view.zoomBy(factor, at));
  }

  pan(right, down) {
    this.#look((view) => view.pan(right, down));
  }

  /** The whole image, as large as there is room. */
  fit() {
    this.#look((view) => view.fit());
  }

  /** One pixel of the image to one of the screen. */
  actual() {
    this.#look((view) => view.actual(window.devicePixelRatio || 1));
  }

  #look(change) {
    if (!this.painter.frame) return;
    change(this.painter.view);
    this.painter.place();
    this.#sayZoom();
  }

  get isFullScreen() {
    return document.fullscreenElement === this.parts.look;
  }

  fullScreen() {
    if (this.isFullScreen) document.exitFullscreen();
    else this.parts.look.requestFullscreen?.().catch(() => say("The browser does not show it on the full screen."));
  }

  /** Paint what is shown once more; the image that one waits for, or that can't be shown, must not look like it. */
  repaint() {
    if (this.#shown !== null) this.#paint(this.painter.frame, this.#shown);
  }

  async #come(at) {
    clearTimeout(this.#waiting);
    this.#waiting = setTimeout(() => this.parts.stage.classList.add("waits"), WAIT_MS);
    try {
      return await this.frames.want(at);
    } catch (error) {
      if (this.#wanted !== at || error.name === "AbortError") return null;
      return { kind: "none", reason: `The image can't be loaded. ${reasonOf(error)}` };
    } finally {
      if (this.#wanted === at) {
        clearTimeout(this.#waiting);
        this.parts.stage.classList.remove("waits");
      }
    }
  }

  #paint(frame, at) {
    const { still, reason, stage } = this.parts;
    reason.hidden = frame.kind !== "none";
    if (frame.kind === "none") reason.textContent = frame.reason;
    else {
      if (frame.kind === "grey") this.#settle(frame);
      this.painter.paint(frame, this.window, this.inverted);
      if (!this.canvas.isConnected) stage.insertBefore(this.canvas, still);
    }
    if (still.isConnected && frame.kind !== "none") still.remove();
    this.#shown = frame.kind === "none" ? null : at;
    this.section.dataset.shown = at;
    this.#say(frame, at);
  }

  /** The window of a frame: that of the preset, which a header may say anew for each; a film flickers only if asked. */
  #settle(frame) {
    const presets = presetsOf(frame, this.modality);
    if (this.preset === null && this.window === null) this.preset = presets[0].id;
    const chosen = presets.find((one) => one.id === this.preset);
    const anew = chosen?.id.startsWith("header") && (this.picked || !this.cine.playing);
    const follows = chosen && (anew || this.window === null);
    if (follows) this.window = chosen.window;
    else if (this.window === null) this.window = frame.automatic;
    this.#offer(presets);
  }

  #offer(presets) {
    const list = this.parts.preset;
    const names = [...presets, { id: "", name: "Set by hand" }];
    if (names.map((one) => one.name).join("\n") !== [...list.options].map((one) => one.text).join("\n")) {
      list.replaceChildren(...names.map(({ id, name }) => new Option(name, id)));
    }
    list.value = presets.some((one) => one.id === this.preset) ? this.preset : "";
  }

  #sliders() {
    const { place, turn, turns, places } = this.parts;
    const at = this.#wanted;
    const here = this.stack.place(at);
    const many = this.stack.turns(here);
    places.hidden = this.stack.places < 2;
    place.value = here + 1;
    this.parts["place-is"].value = `${here + 1} of ${this.stack.places}`;
    place.setAttribute("aria-valuetext", `${here + 1} of ${this.stack.places} ${this.stack.words(at)}`.trim());
    turns.hidden = many < 2;
    turn.max = many;
    turn.value = this.stack.turn(at) + 1;
    this.parts["turn-is"].value = `${this.stack.turn(at) + 1} of ${many}`;
    turn.setAttribute("aria-valuetext", `${this.stack.turn(at) + 1} of ${many}`);
  }

  #say(frame, at) {
    const { where, moment, windowed, grey, numbers, center, width, invert, stage } = this.parts;
    where.textContent = [`Image ${at + 1} of ${this.stack.count}`, this.stack.words(at)].filter(Boolean).join(" · ");
    moment.textContent = this.stack.moment(at);
    if (!this.cine.playing) this.#followHeader();
    this.point(this.#pointer);
    stage.setAttribute("aria-label", frame.kind === "none" ? frame.reason : where.textContent);
    const plain = frame.kind !== "grey";
    grey.hidden = numbers.hidden = invert.hidden = plain;
    for (const edge of EDGES) {
      this.parts[`edge-${edge}`].hidden = !frame.orientation;
      this.parts[`letters-${edge}`].textContent = frame.orientation?.[edge] ?? "";
    }
    this.#offerTools();
    this.#sayZoom();
    if (plain) windowed.textContent = frame.kind === "colour" ? "Color" : "";
    else {
      windowed.textContent = `C ${figure(this.window.center)} W ${figure(this.window.width)} ${frame.unit}`.trim();
      if (document.activeElement !== center) center.value = figure(this.window.center);
      if (document.activeElement !== width) width.value = figure(this.window.width);
    }
  }

  #followHeader() {
    this.header.follow(this.stack.file(this.#wanted), `Image ${this.#wanted + 1} of ${this.stack.count}`);
  }

  #sayZoom() {
    const { zoom, fitted } = this.painter.view;
    this.parts.zoomed.textContent = fitted ? "" : `Zoom ${Math.round(zoom * 100)}%`;
  }

  /** Mark the tool, and those that can do nothing here. */
  #offerTools() {
    const { stage, tools } = this.parts;
    const grey = this.painter.frame?.kind === "grey";
    for (const radio of tools.querySelectorAll("input[name=v-tool]")) {
      radio.checked = radio.value === this.tool;
      radio.disabled = (radio.value === "window" && !grey) || (radio.value === "scroll" && this.stack.count < 2);
    }
    stage.dataset.tool = this.tool;
  }

  /** What is under the pointer; null: nothing is. It is told anew of each image that comes beneath it. */
  point(event) {
    this.#pointer = event;
    const found = event && this.#shown !== null && this.painter.under(event);
    const unit = this.painter.frame?.unit ?? "";
    if (!found) this.parts.value.textContent = "";
    else {
      const value = found.colour ? `RGB ${found.colour.join(", ")}` : `${figure(found.value)} ${unit}`.trim();
      this.parts.value.textContent = `${found.column}, ${found.row}: ${value}`;
    }
  }

  #speakSoon(sentence) {
    clearTimeout(this.#speaking);
    this.#speaking = setTimeout(() => say(sentence ?? `Image ${this.#wanted + 1} of ${this.stack.count}`), SPEAK_MS);
  }

  #played(on) {
    this.parts.play.textContent = on ? "Pause" : "Play";
    this.parts.play.setAttribute("aria-pressed", String(on));
    if (!on) this.#followHeader();
  }

  end() {
    this.cine.stop();
    clearTimeout(this.#speaking);
    clearTimeout(this.#waiting);
    this.ears?.();
    if (this.isFullScreen) document.exitFullscreen();
    this.header.end();
    this.painter.end();
    this.frames.end();
  }
}

/** Begin where the page has a viewer. */
export function start(main) {
  const section = main.querySelector(".viewer");
  if (!section) return null;
  let viewer = null;
  let gone = false;
  Stack.of(section.dataset.api, section.dataset.tree).then(
    (stack) => {
      if (gone || !stack.count) return;
      viewer = new Viewer(section, stack);
      viewer.begin();
    },
    (error) => say(`The images can't be loaded. ${reasonOf(error)}`), // the still picture stays
  );
  return () => {
    gone = true;
    viewer?.end();
  };
}
