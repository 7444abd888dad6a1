/** Reads an archive of `mongodump --archive`, of any size, and believes none of it. */
import { BSONError, deserialize } from 'bson';
import { HoldfastError } from '../../base/errors.ts';
import { type Crc64, crc64Xz } from '../crc64.ts';
import {
  type ArchiveCollection,
  type ArchiveHeader,
  archiveFormat,
  archiveMagic,
  endOfBlock,
  leastDocumentBytes,
  mostDocumentBytes,
} from './archive.ts';

export type ArchivePart =
  | { readonly type: 'prelude'; readonly header: ArchiveHeader; readonly collections: readonly ArchiveCollection[] }
  /** Some documents of one collection, in order, as stored: views that stay valid. */
  | {
      readonly type: 'documents';
      readonly database: string;
      readonly collection: string;
      readonly documents: readonly Uint8Array[];
    }
  /** All documents of the collection have come, and their checksum is right. */
  | { readonly type: 'end'; readonly database: string; readonly collection: string };

/**
 * The parts in order. Throws `repository.damaged` for anything but a whole archive: cut short, garbled, a checksum that is
 * wrong, a collection that does not end. `pieces` may be reused by their owner. Memory: a piece, and the largest document.
 */
export async function* readArchive(
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<ArchivePart> {
  const parser = new Parser();
  for await (const piece of pieces) {
    parser.feed(piece);
    yield* parser.parts();
  }
  parser.finish();
}

interface Segment {
  readonly database: string;
  readonly collection: string;
  readonly isEnd: boolean;
}

interface Running {
  readonly crc: Crc64;
  hasEnded: boolean;
}

class Parser {
  #pending: Buffer = Buffer.alloc(0);
  #position = 0;
  #state: 'magic' | 'header' | 'metadata' | 'between' | 'documents' = 'magic';
  #header: ArchiveHeader | undefined;
  readonly #announced: ArchiveCollection[] = [];
  readonly #running = new Map<string, Running>();
  #segment: Segment | undefined;

  feed(piece: Uint8Array): void {
    // A copy: documents are handed out as views of it.
    this.#pending = Buffer.concat([this.#pending.subarray(this.#position), piece]);
    this.#position = 0;
  }

  *parts(): Generator<ArchivePart> {
    if (this.#state === 'magic' && !this.#takeMagic()) return;
    let documents: Uint8Array[] = [];
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      if (this.#state === 'documents' && next !== 'end') {
        documents.push(this.#takeDocument(next));
        continue;
      }
      if (documents.length > 0) yield this.#batch(documents);
      documents = [];
      const part = next === 'end' ? this.#endBlock() : this.#takeFact(next);
      if (part) yield part;
    }
    if (documents.length > 0) yield this.#batch(documents);
  }

  finish(): void {
    const isWhole = this.#state === 'between' && this.#position === this.#pending.length && this.#header;
    if (!isWhole) throw damaged('it ends too soon');
    for (const [name, { hasEnded }] of this.#running) {
      if (!hasEnded) throw damaged(`the collection ${name} does not end`);
    }
    for (const { database, collection, kind } of this.#announced) {
      const data = kind === 'timeseries' ? `system.buckets.${collection}` : collection;
      if (kind !== 'view' && !this.#running.has(keyOf(database, data))) {
        throw damaged(`the documents of ${database}.${collection} are missing`);
      }
    }
  }

  #takeMagic(): boolean {
    if (this.#pending.length < 4) return false;
    if (this.#pending.readUInt32LE(0) !== archiveMagic) throw damaged('it does not begin as an archive does');
    this.#position = 4;
    this.#state = 'header';
    return true;
  }

  /** The next whole document or `end`; `undefined` if more bytes have to come. */
  #next(): Buffer | 'end' | undefined {
    const left = this.#pending.length - this.#position;
    if (left < 4) return undefined;
    const length = this.#pending.readInt32LE(this.#position);
    if (length === endOfBlock) {
      this.#position += 4;
      return 'end';
    }
    if (length < leastDocumentBytes || length > mostDocumentBytes) throw damaged(`a document of ${length} bytes`);
    if (left < length) return undefined;
    const document = this.#pending.subarray(this.#position, this.#position + length);
    if (document[length - 1] !== 0) throw damaged('a document without an end');
    this.#position += length;
    return document;
  }

  #takeDocument(document: Buffer): Uint8Array {
    if (this.#segment!.isEnd) throw damaged('documents where a collection has ended');
    this.#runningOf(this.#segment!).crc.update(document);
    return document;
  }

  #batch(documents: readonly Uint8Array[]): ArchivePart {
    const { database, collection } = this.#segment!;
    return { type: 'documents', database, collection, documents };
  }

  #endBlock(): ArchivePart | undefined {
    if (this.#state === 'header' || this.#state === 'between') throw damaged('an end where nothing began');
    const wasPrelude = this.#state === 'metadata';
    this.#state = 'between';
    if (wasPrelude) return { type: 'prelude', header: this.#header!, collections: this.#announced };
    const { database, collection, isEnd } = this.#segment!;
    return isEnd ? { type: 'end', database, collection } : undefined;
  }

  #takeFact(document: Buffer): undefined {
    const fields = parse(document);
    if (this.#state === 'header') {
      if (fields.version !== archiveFormat)
        throw damaged(`the format ${String(fields.version).slice(0, 20)} is unknown`);
      this.#header = { serverVersion: text(fields, 'server_version'), toolVersion: text(fields, 'tool_version') };
      this.#state = 'metadata';
    } else if (this.#state === 'metadata') {
      this.#announced.push(collectionOf(fields));
    } else {
      this.#beginSegment(fields);
    }
  }

  #beginSegment(fields: Fields): void {
    const segment = {
      database: text(fields, 'db'),
      collection: text(fields, 'collection'),
      isEnd: fields.EOF === true,
    };
    const running = this.#runningOf(segment);
    const name = `${segment.database}.${segment.collection}`;
    if (running.hasEnded) throw damaged(`the collection ${name} goes on after its end`);
    if (segment.isEnd) {
      if (fields.CRC !== running.crc.value()) throw damaged(`the checksum of ${name} is wrong`);
      running.hasEnded = true;
    }
    this.#segment = segment;
    this.#state = 'documents';
  }

  #runningOf({ database, collection }: { database: string; collection: string }): Running {
    const key = keyOf(database, collection);
    const known = this.#running.get(key);
    if (known) return known;
    const fresh = { crc: crc64Xz(), hasEnded: false };
    this.#running.set(key, fresh);
    return fresh;
  }
}

/** Names of databases hold no point. */
function keyOf(database: string, collection: string): string {
  return `${database}.${collection}`;
}

type Fields = Readonly<Record<string, unknown>>;

function parse(document: Uint8Array): Fields {
  try {
    return deserialize(document, { useBigInt64: true, validation: { utf8: true } });
  } catch (cause) {
    if (cause instanceof BSONError || cause instanceof RangeError)
      throw damaged('a description that is no BSON', cause);
    throw cause;
  }
}

function text(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string') throw damaged(`a description without «${name}»`);
  return value;
}

function collectionOf(fields: Fields): ArchiveCollection {
  const type = text(fields, 'type');
  return {
    database: text(fields, 'db'),
    collection: text(fields, 'collection'),
    kind: type === 'view' || type === 'timeseries' ? type : 'collection',
    metadata: text(fields, 'metadata'),
  };
}

function damaged(what: string, cause?: unknown): HoldfastError {
  return new HoldfastError({
    code: 'repository.damaged',
    message: `the MongoDB archive is damaged: ${what}`,
    remedy: 'Check the repository (holdfast repo check --read-data), and restore an older snapshot.',
    cause,
  });
}
