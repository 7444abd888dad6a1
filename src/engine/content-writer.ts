/**
 * Fills restored files with content. Files are planned in tree order and written in windows: within a window, blobs are
 * fetched pack by pack and written wherever they belong, so that every stored byte is read about once. The next window begins
 * when the last read of the one before has. Memory: three windows of references, and the fetcher's slabs, whatever the size
 * of the snapshot.
 */
import { HoldfastError } from '../base/errors.ts';
import type { FileWriter, RestoreTarget } from '../hosts/host.ts';
import type { Node } from '../model/node.ts';
import type { BlobFetcher, BlobIndex } from '../repository/index.ts';

const windowBytes = 128 << 20;
const windowReferences = 64 << 10;
/** Files of one blob up to this size are written in one go. */
const wholeFileBytes = 1 << 20;

interface OpenFile {
  readonly path: string;
  readonly node: Node;
  /** Present when parts of an existing file are rewritten. */
  readonly revised?: FileWriter;
  writer?: Promise<FileWriter>;
  /** Blobs not written yet, plus one while more are being planned. */
  waiting: number;
}

interface Reference {
  readonly file: OpenFile;
  readonly position: number;
}

export class ContentWriter {
  files = 0;
  bytes = 0;
  readonly #index: BlobIndex;
  readonly #fetcher: BlobFetcher;
  readonly #target: RestoreTarget;
  readonly #problem: (message: string) => void;
  readonly #progress: (bytes: number, path: string) => void;
  readonly #signal: AbortSignal | undefined;
  #window = new Map<number, Reference[]>();
  #windowBytes = 0;
  #references = 0;
  /** Everything that was planned up to now. */
  #running: Promise<void> = Promise.resolve();
  /** The last read of the window before has begun, or the window has ended. */
  #begun: Promise<void> = Promise.resolve();
  #failure: { error: unknown } | undefined;
  readonly #unfinished = new Set<OpenFile>();

  constructor(parts: {
    index: BlobIndex;
    fetcher: BlobFetcher;
    target: RestoreTarget;
    /** What of a file's attributes could not be restored. */
    problem: (message: string) => void;
    progress: (bytes: number, path: string) => void;
    signal?: AbortSignal;
  }) {
    this.#index = parts.index;
    this.#fetcher = parts.fetcher;
    this.#target = parts.target;
    this.#problem = parts.problem;
    this.#progress = parts.progress;
    this.#signal = parts.signal;
  }

  /** Plans a file. With `revise`, only blobs not marked equal are written into the existing file. */
  async add(path: string, node: Node, revise?: { writer: FileWriter; equal: Uint8Array }): Promise<void> {
    const content = node.content ?? new Uint8Array();
    this.files++;
    if (content.byteLength === 0 && !revise) return await this.#whole({ path, node, waiting: 0 }, new Uint8Array());
    const file: OpenFile = { path, node, revised: revise?.writer, waiting: 1 };
    this.#unfinished.add(file);
    let position = 0;
    for (let at = 0; at < content.byteLength; at += 32) {
      const entry = this.#index.find('data', content, at);
      if (entry < 0 || !this.#index.location(entry)) throw this.#missing(file, content.subarray(at, at + 32));
      const length = this.#index.plainLength(entry);
      if (!revise?.equal[at / 32]) {
        file.waiting++;
        this.#plan(entry, { file, position }, length);
        if (this.#windowBytes >= windowBytes || this.#references >= windowReferences) await this.#turn();
      } else {
        this.bytes += length;
        this.#progress(length, path);
      }
      position += length;
    }
    await this.#oneLess(file);
  }

  /** Everything planned is written when this resolves. */
  async finish(): Promise<void> {
    await this.#turn();
    await this.#running;
  }

  /** After a failure: lets go of files that will not be completed. */
  async abandon(): Promise<void> {
    await this.#running.catch(() => undefined);
    for (const file of this.#unfinished) {
      const writer = file.revised ?? (await file.writer?.catch(() => undefined));
      await writer?.abandon();
    }
  }

  #plan(entry: number, reference: Reference, length: number): void {
    const known = this.#window.get(entry);
    if (known) {
      known.push(reference);
    } else {
      this.#window.set(entry, [reference]);
      this.#windowBytes += length;
    }
    this.#references++;
  }

  /** Starts writing the window that is full once the one before has nothing left to ask for; at most two are being written. */
  async #turn(): Promise<void> {
    const window = this.#window;
    this.#window = new Map();
    this.#windowBytes = 0;
    this.#references = 0;
    await this.#begun;
    const before = this.#running;
    if (this.#failure) throw this.#failure.error;
    if (window.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#begun = promise;
    const fetching = this.#fetcher.fetch(
      [...window.keys()],
      async (entry, plain) => await this.#deliver(window.get(entry)!, plain),
      { signal: this.#signal, begun: () => void before.then(resolve, resolve) },
    );
    this.#running = this.#both(before, fetching).finally(resolve);
    // A failure is seen at the next turn; until then it must not count as unhandled.
    this.#running.catch((error: unknown) => {
      this.#failure ??= { error };
    });
  }

  /** Both have ended when this settles: what is let go of after a failure is not being written any more. */
  async #both(before: Promise<void>, fetching: Promise<void>): Promise<void> {
    const [first, second] = await Promise.allSettled([before, fetching]);
    if (first.status === 'rejected') throw first.reason;
    if (second.status === 'rejected') throw second.reason;
  }

  async #deliver(references: readonly Reference[], plain: Uint8Array): Promise<void> {
    const zeros = references.length > 1 && isZero(plain);
    for (const { file, position } of references) {
      if (file.node.size === plain.byteLength && plain.byteLength <= wholeFileBytes && !file.revised) {
        const written = this.#whole(file, plain);
        if (written) await written;
        continue;
      }
      // A new file is zero where nothing is written: a hole of terabytes is many references to one zero blob.
      if (!zeros || file.revised) await (await this.#writer(file)).writeAt(plain, position);
      this.bytes += plain.byteLength;
      this.#progress(plain.byteLength, file.path);
      await this.#oneLess(file);
    }
  }

  #whole(file: OpenFile, plain: Uint8Array): Promise<void> | undefined {
    const written = this.#target.writeWhole(file.path, plain, file.node, this.#problem);
    if (written) return written.then(() => this.#wholeDone(file, plain));
    this.#wholeDone(file, plain);
    return undefined;
  }

  #wholeDone(file: OpenFile, plain: Uint8Array): void {
    this.bytes += plain.byteLength;
    this.#progress(plain.byteLength, file.path);
    this.#unfinished.delete(file);
  }

  #writer(file: OpenFile): Promise<FileWriter> {
    file.writer ??= file.revised ? Promise.resolve(file.revised) : this.#target.createFile(file.path, file.node.size);
    return file.writer;
  }

  async #oneLess(file: OpenFile): Promise<void> {
    if (--file.waiting > 0 || !this.#unfinished.has(file)) return;
    const writer = await this.#writer(file);
    await writer.close();
    this.#unfinished.delete(file);
    await this.#target.applyAttributes(file.path, file.node, this.#problem);
  }

  #missing(file: OpenFile, id: Uint8Array): HoldfastError {
    return new HoldfastError({
      code: 'repository.damaged',
      message: `${file.path} cannot be restored: its blob ${Buffer.from(id).toString('hex')} is in no index`,
      remedy:
        'Run holdfast repo check; restore this file from another snapshot or copy, or leave it out with --exclude.',
    });
  }
}

const zeroBlock = Buffer.alloc(1 << 20);

function isZero(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.byteLength; at += zeroBlock.byteLength) {
    const part = bytes.subarray(at, at + zeroBlock.byteLength);
    if (zeroBlock.compare(part, 0, part.byteLength, 0, part.byteLength) !== 0) return false;
  }
  return true;
}
