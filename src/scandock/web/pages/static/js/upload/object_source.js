// Where the bytes of an object are within the archive that was chosen: they are read again for its picture, as a preview
// keeps none of them.

import { inflateBlob, inflateHead } from "./inflate.js";
import { StreamBytes } from "./tar_stream.js";

const MOST = 512 * 1024 * 1024; // bytes of an inner archive that is opened
const IN_STREAM = 16 * 1024 * 1024; // bytes of an object that is read from within a stream
const PACKED_MORE = 65536; // bytes beside those that are wanted, which cover what deflating adds

/** The bytes of a Blob, or of a part of it: {start, packed, isDeflated}. A meter counts what is read (picture_maker.js). */
export class BlobSource {
  /** `open` gives the Blob. */
  constructor(open, part = null) {
    Object.assign(this, { open, part });
  }

  /** A part of what this is the bytes of, once it is opened. */
  within(part) {
    return new BlobSource((meter) => this.blob(meter), part);
  }

  /** All of it as a Blob. */
  async blob(meter) {
    const whole = await this.open(meter);
    if (this.part === null) return whole;
    const { start, packed, isDeflated } = this.part;
    const own = whole.slice(start, start + packed);
    if (!isDeflated) return own;
    meter.take(packed);
    return meter.remember(this, () => inflateBlob(own, MOST));
  }

  /** Its first `length` bytes, fewer at the end. */
  async read(length, meter) {
    const whole = await this.open(meter);
    const { start, packed, isDeflated } = this.part ?? { start: 0, packed: whole.size, isDeflated: false };
    const wanted = Math.min(packed, isDeflated ? length + PACKED_MORE : length);
    meter.take(wanted);
    const raw = new Uint8Array(await whole.slice(start, start + wanted).arrayBuffer());
    return isDeflated ? inflateHead(raw, length) : raw;
  }

  /** How far into a stream one has to read for it. */
  get depth() {
    return 0;
  }
}

/** The bytes of an object within a tar.gz, which can be read from its front only. */
export class StreamSource {
  constructor(source, start, size) {
    Object.assign(this, { source, start, size });
  }

  async read(length, meter) {
    const whole = await meter.remember(this, async () => {
      const wanted = Math.min(this.size, IN_STREAM);
      meter.take(this.start + wanted);
      const blob = await this.source.blob(meter);
      const stream = new StreamBytes(blob.stream().pipeThrough(new DecompressionStream("gzip")));
      try {
        await stream.skip(this.start);
        return await stream.take(wanted);
      } finally {
        await stream.cancel();
      }
    });
    return whole.subarray(0, length);
  }

  get depth() {
    return this.start + this.size;
  }
}
