/**
 * The frames in which an engine sends the outputs of a program without terminal (Docker Engine API, "Attach to a
 * container", stream format): type (1 stdout, 2 stderr), three zero bytes, length (4 bytes, big endian), content.
 */
import { HoldfastError } from '../../base/errors.ts';

const headerBytes = 8;

export interface FrameSink {
  stdout(bytes: Buffer): void;
  stderr(bytes: Buffer): void;
}

/** Takes the stream apart however it was cut; content is handed on as it comes, so nothing but a header is ever held. */
export class FrameReader {
  readonly #sink: FrameSink;
  #header = Buffer.alloc(0);
  #type = 0;
  #left = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  push(chunk: Buffer): void {
    for (let rest = chunk; rest.length > 0; ) {
      rest = this.#left > 0 ? this.#content(rest) : this.#readHeader(rest);
    }
  }

  /** True where a stream may end: not within a frame. */
  get atBoundary(): boolean {
    return this.#left === 0 && this.#header.length === 0;
  }

  #content(bytes: Buffer): Buffer {
    const part = bytes.subarray(0, this.#left);
    this.#left -= part.length;
    if (this.#type === 2) this.#sink.stderr(part);
    else this.#sink.stdout(part);
    return bytes.subarray(part.length);
  }

  #readHeader(bytes: Buffer): Buffer {
    const missing = headerBytes - this.#header.length;
    this.#header = Buffer.concat([this.#header, bytes.subarray(0, missing)]);
    if (this.#header.length === headerBytes) {
      this.#type = this.#header[0];
      if (this.#type > 2 || this.#header.readUIntBE(1, 3) !== 0) throw notFrames();
      this.#left = this.#header.readUInt32BE(4);
      this.#header = Buffer.alloc(0);
    }
    return bytes.subarray(missing);
  }
}

function notFrames(): HoldfastError {
  return new HoldfastError({
    code: 'host.command-failed',
    message: 'the container engine sent something else than the outputs of a program',
    remedy: 'Check what stands between here and the engine (a proxy?), and report the version of the engine.',
  });
}
