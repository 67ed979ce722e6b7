// One upload on its way: made, sent, cut, gone on with, without end, until it is there or a person has to decide.

import { Pace } from "../live/figures.js";
import { tellCancelled } from "../live/tabs.js";
import * as handles from "./handles.js";
import { shown } from "./names.js";
import { goneWords, loginWords, wordsOf } from "./trouble_words.js";
import { create, discard, freshKey, giveMapping, Refusal, renew, send, stateOf } from "./tus.js";
import { compose, print } from "./worker_client.js";

const FIRST_WAIT = 1000;
const LONGEST_WAIT = 60_000;
const LOGIN_WAIT = 4000;
const GONE = new Set([404, 410]);
const OTHER_ENDS = new Set(["upload_expired", "upload_lost"]); // of which nobody has cancelled it
const FOR_A_PERSON = new Set([400, 403, 404, 409, 410, 412, 413, 415, 422]);
let count = 0;

/** States: waiting, running, held up (tries again by itself), paused, stopped (needs a person), elsewhere (another tab or
 * browser sends it), done, cancelled. */
export class Transfer {
  state = "waiting";
  sent = 0;
  why = "";
  remedy = ""; // what a person can do: "login", "anew", "gone" (out of sight, maybe for a while), "file" or nothing of these
  retryAt = null; // when it is tried again, by performance.now(); null where that is not by the clock
  refusal = ""; // that another file was chosen for it, or its import could not be changed
  likeness = ""; // by which other tabs know that it was uploaded here; "" where its file is not known
  hasGrown = false; // whether the server has more of it than went from here before it stood still
  isReturned = false; // whether it comes from before a reload
  import = null; // its import, once all bytes are there (outcomes.js)
  speed = null;
  tries = 0;
  #pace = new Pace();
  #sending = null;
  #wake = null;
  #key = freshKey();
  #mapped = false;
  #turn = 0; // a run that was paused must not go on beside the one that came after it

  /** `source`: {name, file} or {name, files}, `fields` for Upload-Metadata, `mapping` as CSV or "".
   *
   * With `upload` (an unfinished one) it goes on with that.
   */
  constructor({ name, file = null, files = null, handle = null, fields = {}, mapping = "", upload = null }, changed) {
    Object.assign(this, { name, file, files, handle, fields, mapping, changed });
    this.id = `t${(count += 1)}`;
    this.upload = upload?.id ?? null;
    this.total = file ? file.size : files.reduce((sum, one) => sum + one.file.size, 0);
    this.sent = upload?.offset ?? 0;
    this.#mapped = upload !== null;
    this.isFromBefore = upload !== null; // its settings are the server's, not this page's
    this.begunFor = upload?.project ?? "";
  }

  get isOver() {
    return this.state === "done" || this.state === "cancelled";
  }

  /** Whether the server does not take it as it was asked for; a person may change that. */
  get isRefused() {
    return this.state === "stopped" && this.remedy === "";
  }

  /** Whether leaving the site now would cut it. */
  get wouldBeCut() {
    return ["waiting", "running", "held up"].includes(this.state);
  }

  /** Go until it is there, is paused, or needs a person. */
  async run() {
    const turn = (this.#turn += 1);
    const goes = () => this.state === "running" && this.#turn === turn;
    this.hasGrown = false;
    this.#to("running");
    while (goes()) {
      try {
        await this.#once(goes);
        if (!goes()) return;
        this.sent = this.total;
        this.#to("done");
        handles.drop(this.upload);
      } catch (error) {
        if (!goes() || !(await this.#trouble(error))) return;
      }
    }
  }

  async #once(goes) {
    await this.#prepare();
    if (!goes()) return;
    if (this.upload === null) {
      const filename = this.files ? `${this.name}.tar` : this.name;
      this.upload = await create(this.total, { filename, fingerprint: this.print, ...this.fields }, this.#key);
      if (this.handle) handles.keep(this.upload, this.handle);
    }
    if (!goes()) return;
    if (this.mapping && !this.#mapped) await giveMapping(this.upload, this.mapping);
    this.#mapped = true;
    if (!goes()) return;
    const sending = await send(this.upload, this.blob, (sent) => goes() && this.#moved(sent));
    this.#sending = sending;
    if (!goes()) sending.abort();
    await sending.ended;
  }

  /** The bytes as one Blob, and by what they are known again. */
  async #prepare() {
    if (this.blob) return;
    if (this.files) {
      const { blob, modified } = await compose(this.files.map(({ path, file }) => ({ path, file })));
      Object.assign(this, { modified, total: blob.size });
      this.print = await print(blob, modified);
      this.blob = blob;
    } else {
      this.print = await print(this.file, this.file.lastModified);
      this.blob = this.file;
    }
  }

  #moved(sent) {
    const again = this.why !== "";
    this.retryAt = null;
    if (sent > this.sent) this.tries = 0;
    this.sent = sent;
    this.why = this.remedy = "";
    if (again) return this.changed(this, true);
    this.speed = this.#pace.note(this.upload, { done: sent, total: this.total }) ?? this.speed;
    this.changed(this, false);
  }

  /** Whether to go on after an error; waits as long as that takes. */
  async #trouble(error) {
    const status = error instanceof Refusal ? error.status : -1;
    if (status === -1 || (status === 0 && !(await this.#readable()))) {
      return this.#stop(`${shown(this.name)} can't be read any more: it was changed, moved or taken away. Choose it again to go on.`, "file");
    }
    if (status === 401 || error.code === "csrf_failed" || (await this.#isOfAnother(status))) return this.#loggedIn();
    if (GONE.has(status) && this.upload) return this.#gone(error, status);
    if (FOR_A_PERSON.has(status) && error.code !== "tus_offset") return this.#stop(error.message);
    await this.#waitFor(error);
    if (this.state !== "held up") return false;
    this.state = "running"; // said once bytes go again
    return true;
  }

  /** The server takes no more bytes of it: it was cancelled or deleted, else a person has to know why. False. */
  async #gone(error, status) {
    const turn = this.#turn;
    const isCancelled = !OTHER_ENDS.has(error.code) && (await stateOf(this.upload)) === "cancelled";
    if (this.#turn !== turn || this.state !== "running") return false;
    if (isCancelled) this.endCancelled();
    else this.#stop(goneWords(error), status === 404 ? "gone" : "anew");
    return false;
  }

  /** Wait until the account of this page is logged in, in whatever tab; whether to go on. Its token is another one. */
  async #loggedIn() {
    const turn = this.#turn;
    let refused = this.tries > 0; // with a login that holds: not again at once
    for (;;) {
      const who = await renew().catch((error) => error);
      if (this.#turn !== turn || !["running", "held up"].includes(this.state)) return false;
      if (who.same && !refused) {
        this.tries += 1;
        this.state = "running"; // said once bytes go again
        return true;
      }
      await this.#holdUp(loginWords(who), LOGIN_WAIT, "login");
      if (this.#turn !== turn || this.state !== "held up") return false;
      refused = false;
    }
  }

  /** Whether what is denied is so because somebody else is logged in by now. */
  async #isOfAnother(status) {
    if (status !== 403 && status !== 404) return false;
    return (await renew().catch(() => ({}))).same === false;
  }

  async #waitFor(error) {
    this.tries += 1;
    const backoff = Math.min(FIRST_WAIT * 2 ** Math.min(this.tries - 1, 6), LONGEST_WAIT) * (0.75 + Math.random() / 2);
    const wait = error.status === 423 ? FIRST_WAIT : Math.max(backoff, error.retryAfter * 1000);
    await this.#holdUp(wordsOf(error), wait, "", navigator.onLine ? performance.now() + wait : null);
  }

  async #holdUp(why, wait, remedy = "", retryAt = null) {
    const said = this.state === "held up" && this.why === why; // the same again is not said again
    Object.assign(this, { why, remedy, retryAt });
    this.#slow();
    if (said) this.changed(this, false);
    else this.#to("held up");
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, wait);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = null;
  }

  async #readable() {
    try {
      const blob = this.blob ?? this.file;
      if (blob) await blob.slice(Math.max(0, blob.size - 1)).arrayBuffer();
      if (this.files) for (const { file } of this.files) await file.slice(0, 1).arrayBuffer();
      return true;
    } catch {
      return false;
    }
  }

  /** The machine is offline: what is on the wire would hang there, maybe for minutes. */
  cut() {
    if (this.state === "running") this.#sending?.abort();
  }

  /** The machine is online again, or a person can't wait. */
  wake() {
    this.#wake?.();
  }

  pause() {
    if (!this.isOver) this.#halt("paused");
  }

  /** Another tab or browser sends it from now on. */
  leave() {
    if (!this.isOver) this.#halt("elsewhere");
  }

  /** It was cancelled elsewhere: nothing is there of it any more. */
  endCancelled() {
    if (this.isOver) return;
    handles.drop(this.upload);
    this.#halt("cancelled");
  }

  /** All its bytes are on the server, whoever has sent them. */
  arrive() {
    if (this.isOver) return;
    this.sent = this.total;
    handles.drop(this.upload);
    this.#halt("done");
  }

  /** The server has so much of it, while nothing goes from here. */
  follow(sent) {
    this.sent = sent;
    this.hasGrown = true;
    this.changed(this, false);
  }

  /** Bytes go no more: what comes once they go again has a pace of its own. */
  #slow() {
    this.speed = null;
    this.#pace.anew();
  }

  #halt(state) {
    this.#slow();
    this.why = "";
    this.#to(state);
    this.#sending?.abort();
    this.#wake?.();
  }

  /** Let it be taken up again; the scheduler runs it. `anew`: from the beginning, as the server has it no more. */
  resume({ anew = false } = {}) {
    if (anew) Object.assign(this, { upload: null, sent: 0, import: null });
    this.refusal = "";
    if (anew) [this.#key, this.#mapped] = [freshKey(), false];
    this.tries = 0;
    this.#to("waiting");
  }

  /** Give it up: what is there of it goes. */
  async cancel() {
    const gone = this.upload;
    this.#halt("cancelled");
    if (gone === null) return;
    handles.drop(gone);
    await discard(gone).catch(() => {}); // what stays is listed as unfinished, and goes by itself
    tellCancelled(gone);
  }

  /** A file that was chosen again, in place of one that can't be read any more. */
  replace({ file = null, files = null, handle = null }) {
    Object.assign(this, { file, files, handle, blob: null, refusal: "" });
  }

  /** Say why something that was asked for was not done: its state stays. */
  refuse(why) {
    this.refusal = why;
    this.changed(this, true);
  }

  #stop(why, remedy = "") {
    this.why = why;
    this.remedy = remedy;
    this.#slow();
    this.#to("stopped");
    return false;
  }

  #to(state) {
    this.state = state;
    if (state !== "held up") this.retryAt = null;
    if (state !== "stopped" && state !== "held up") this.why = this.remedy = "";
    this.changed(this, true);
  }
}
