// Playing a stack: the next image once its time has come and it is here. Never begins by itself.

export class Cine {
  #timer = 0;

  /** `step` shows the next image and answers when it is shown. */
  constructor(step, told) {
    this.step = step;
    this.told = told;
    this.rate = 10;
    this.playing = false;
  }

  toggle() {
    if (this.playing) this.stop();
    else this.#play();
  }

  #play() {
    this.playing = true;
    this.told(true);
    const next = async () => {
      const began = performance.now();
      await this.step();
      if (this.playing) this.#timer = setTimeout(next, Math.max(0, 1000 / this.rate - (performance.now() - began)));
    };
    next();
  }

  stop() {
    clearTimeout(this.#timer);
    if (this.playing) {
      this.playing = false;
      this.told(false);
    }
  }
}
