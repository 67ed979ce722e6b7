// The stack of a scan: places in space, and at each place the images that were made there.

import { stack } from "../addresses.js";
import { answerOf, ask } from "../site.js";

const [FILE, , PLACE, TURN, INSTANCE, TIME, POSITION] = [0, 1, 2, 3, 4, 5, 6];

export class Stack {
  constructor(said) {
    this.images = said.images;
    this.places = said.places;
    this.starts = []; // of each place, its first image
    for (const [at, image] of this.images.entries()) if (image[TURN] === 0) this.starts.push(at);
  }

  static async of(api, tree) {
    const response = await ask(stack(api, tree));
    return new Stack(await answerOf(response));
  }

  get count() {
    return this.images.length;
  }

  place(at) {
    return this.images[at][PLACE];
  }

  turn(at) {
    return this.images[at][TURN];
  }

  /** How many images there are at a place. */
  turns(place) {
    return (this.starts[place + 1] ?? this.count) - this.starts[place];
  }

  /** The image at a place that is nearest to a turn. */
  at(place, turn) {
    const kept = Math.min(Math.max(place, 0), this.places - 1);
    return this.starts[kept] + Math.min(Math.max(turn, 0), this.turns(kept) - 1);
  }

  /** The image so many places further at the same turn; null beyond the ends. */
  further(at, places) {
    const place = this.place(at) + places;
    return place < 0 || place >= this.places ? null : this.at(place, this.turn(at));
  }

  /** Where an image is, in words. */
  words(at) {
    const position = this.images[at][POSITION];
    return position ? `at ${position.map((one) => Number(one.toFixed(1))).join(", ")} mm` : "";
  }

  /** Number and time of an image, in words. */
  moment(at) {
    const [instance, time] = [this.images[at][INSTANCE], this.images[at][TIME]];
    const clock = time && /^\d{6}/.test(time) ? `${time.slice(0, 2)}:${time.slice(2, 4)}:${time.slice(4)}` : time;
    return [instance === null ? "" : `no. ${instance}`, clock ?? ""].filter(Boolean).join(" · ");
  }

  file(at) {
    return this.images[at][FILE];
  }
}
