// Reads the stream of events by fetch, and comes back behind the last one: EventSource gives up for good on a 503.

const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 15_000;
const SILENCE_MS = 45_000; // the server says something every 15 s
const NOT_OURS = [401, 403, 404];

/** Events out of the text of a stream, piece by piece (HTML Standard, "Server-sent events"). */
export class Parser {
  #rest = "";
  #event = { id: null, kind: "message", data: [] };

  /** The events that are whole once `text` has come. */
  take(text) {
    const found = [];
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop();
    for (const line of lines) {
      const bare = line.endsWith("\r") ? line.slice(0, -1) : line;
      if (bare === "") {
        if (this.#event.data.length) found.push({ ...this.#event, data: this.#event.data.join("\n") });
        this.#event = { id: null, kind: "message", data: [] };
        continue;
      }
      const colon = bare.indexOf(":");
      const name = colon < 0 ? bare : bare.slice(0, colon);
      const value = colon < 0 ? "" : bare.slice(colon + 1).replace(/^ /, "");
      if (name === "id") this.#event.id = value;
      else if (name === "event") this.#event.kind = value;
      else if (name === "data") this.#event.data.push(value);
    }
    return found;
  }
}

/** The stream of `user` at `address`: `hear(kind, data)` for each event, `state(...)` when that changes: "asking", "open",
 * "away" or "ended".
 *
 * Until the first answer, or its failing, the state is "asking": of that nothing is said.
 * It goes on by itself until `stop()`, or until the server says that the login has ended or is somebody else's. `go()`
 * begins again, as with the next login; `pause()` is for documents that are hidden.
 */
export class Reading {
  #address;
  #user;
  #hear;
  #state;
  #now = "asking";
  #mark = "";
  #run = null;

  constructor(address, user, hear, state) {
    [this.#address, this.#user, this.#hear, this.#state] = [address, user, hear, state];
    addEventListener("online", () => this.#wake?.());
  }

  get state() {
    return this.#now;
  }

  go() {
    if (this.#run) return;
    this.#run = new AbortController();
    if (this.#now === "ended") this.#tell("asking");
    this.#follow(this.#run);
  }

  pause() {
    this.#run?.abort();
    this.#run = null;
  }

  stop() {
    this.pause();
    this.#mark = ""; // the next login is told all that is under way
    this.#tell("ended");
  }

  #wake = null;

  #tell(state) {
    if (state === this.#now) return;
    this.#now = state;
    this.#state(state);
  }

  async #follow(run) {
    let wait = FIRST_WAIT_MS;
    while (!run.signal.aborted) {
      const begun = Date.now();
      const answered = await this.#read(run);
      if (run.signal.aborted) return;
      if (NOT_OURS.includes(answered)) return this.stop();
      this.#tell("away");
      wait = Date.now() - begun > LONGEST_WAIT_MS ? FIRST_WAIT_MS : Math.min(wait * 1.6, LONGEST_WAIT_MS);
      await new Promise((done) => {
        this.#wake = done;
        setTimeout(done, wait);
      });
    }
  }

  /** Read until it ends; the status of the answer, 0 where there was none. */
  async #read(run) {
    const broken = new AbortController();
    const both = AbortSignal.any([run.signal, broken.signal]);
    let silence = setTimeout(() => broken.abort(), SILENCE_MS);
    try {
      const headers = this.#mark ? { "Last-Event-ID": this.#mark } : {};
      const answer = await fetch(this.#address, { headers, signal: both, cache: "no-store", credentials: "same-origin" });
      if (!answer.ok) {
        await answer.body?.cancel();
        return answer.status;
      }
      const parser = new Parser();
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return answer.status;
        clearTimeout(silence);
        silence = setTimeout(() => broken.abort(), SILENCE_MS);
        for (const { id, kind, data } of parser.take(value)) {
          const told = JSON.parse(data);
          if (kind === "begin" && told.user !== this.#user) return 401; // somebody else has logged in here
          if (id !== null) this.#mark = id;
          this.#hear(kind, told);
          if (run.signal.aborted) return answer.status;
        }
        this.#tell("open");
      }
    } catch {
      return 0; // cut, or the server is away: it is asked again
    } finally {
      broken.abort();
      clearTimeout(silence);
    }
  }
}
