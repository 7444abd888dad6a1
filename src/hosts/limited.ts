/**
 * Holds what is exchanged with a host to a rate, by the time of day: files, output and input of programs, and connections,
 * each direction together. Attributes and lists of directories are not counted.
 */
import { type Duplex, Duplex as DuplexStream, pipeline, Transform } from 'node:stream';
import type { Clock } from '../base/clock.ts';
import { type RateTable, rateAt } from '../base/rate-table.ts';
import { TokenBucket } from '../base/token-bucket.ts';
import type { FileReader, FileWriter, Host, HostProcess, RestoreTarget } from './host.ts';

export interface HostLimits {
  /** To the host: restores. */
  readonly upload?: RateTable;
  /** From the host: backups. */
  readonly download?: RateTable;
}

/** A file is read in pieces of this size, so that a slow rate is an even one. */
const pieceBytes = 256 << 10;

/** `inner` itself if there are no limits. */
export function limitedHost(inner: Host, limits: HostLimits, clock: Clock): Host {
  if (!limits.upload && !limits.download) return inner;
  const up = bucketOf(limits.upload, clock);
  const down = bucketOf(limits.download, clock);
  const { files } = inner;
  return {
    name: inner.name,
    kind: inner.kind,
    hostname: inner.hostname,
    ...(inner.limits ? { limits: inner.limits } : {}),
    files: {
      attributes: (path) => files.attributes(path),
      list: (path, unreadable) => files.list(path, unreadable),
      open: async (path) => pacedReader(await files.open(path), down),
    },
    run: async (command) => pacedProcess(await inner.run(command), up, down),
    connect: async (address, signal) => pacedStream(await inner.connect(address, signal), up, down),
    openTarget: async (directory, existing) => pacedTarget(await inner.openTarget(directory, existing), up),
    close: () => inner.close(),
  };
}

type Bucket = TokenBucket | undefined;

function bucketOf(table: RateTable | undefined, clock: Clock): Bucket {
  return table && new TokenBucket(clock, () => rateAt(table, clock.nowMs()));
}

function pacedReader(reader: FileReader, down: Bucket): FileReader {
  if (!down) return reader;
  return {
    async read(into) {
      const count = await reader.read(into.subarray(0, pieceBytes));
      await down.take(count);
      return count;
    },
    ...(reader.skipHole ? { skipHole: (minimum: number) => reader.skipHole!(minimum) } : {}),
    attributes: () => reader.attributes(),
    close: () => reader.close(),
  };
}

function pacedProcess(process: HostProcess, up: Bucket, down: Bucket): HostProcess {
  return {
    stdout: down ? pacedOutput(process.stdout, down) : process.stdout,
    async write(bytes) {
      await up?.take(Buffer.byteLength(bytes));
      await process.write(bytes);
    },
    endInput: () => process.endInput(),
    exit: process.exit,
    kill: () => process.kill(),
  };
}

async function* pacedOutput(output: AsyncIterable<Uint8Array>, down: TokenBucket): AsyncGenerator<Uint8Array> {
  for await (const part of output) {
    await down.take(part.byteLength);
    yield part;
  }
}

/** Ends, errors and destruction pass in both directions. */
function pacedStream(inner: Duplex, up: Bucket, down: Bucket): Duplex {
  const writable = gate(up);
  const readable = gate(down);
  // What fails is seen on the stream that is handed out.
  pipeline(writable, inner, () => {});
  pipeline(inner, readable, () => {});
  return DuplexStream.from({ writable, readable });
}

function gate(bucket: Bucket): Transform {
  return new Transform({
    transform(part: Uint8Array, _encoding, done) {
      if (!bucket) return done(null, part);
      bucket.take(part.byteLength).then(() => done(null, part), done);
    },
  });
}

function pacedTarget(target: RestoreTarget, up: Bucket): RestoreTarget {
  if (!up) return target;
  return {
    makeDirectory: (path) => target.makeDirectory(path),
    createFile: async (path, size) => pacedWriter(await target.createFile(path, size), up),
    async reviseFile(path, size) {
      const writer = await target.reviseFile(path, size);
      return writer && pacedWriter(writer, up);
    },
    async writeWhole(path, content, node, problem) {
      await up.take(content.byteLength);
      await target.writeWhole(path, content, node, problem);
    },
    makeLink: (path, existing) => target.makeLink(path, existing),
    makeSpecial: (path, node) => target.makeSpecial(path, node),
    applyAttributes: (path, node, problem) => target.applyAttributes(path, node, problem),
    finish: () => target.finish(),
    [Symbol.asyncDispose]: () => target[Symbol.asyncDispose](),
  };
}

function pacedWriter(writer: FileWriter, up: TokenBucket): FileWriter {
  return {
    async writeAt(bytes, position) {
      await up.take(bytes.byteLength);
      await writer.writeAt(bytes, position);
    },
    close: () => writer.close(),
    abandon: () => writer.abandon(),
  };
}
