/** Test data: files saved by real servers (test/vectors/make-redis-vectors.ts), and values as plain text. */
import { readFileSync } from 'node:fs';
import { view } from '../../base/bytes.ts';
import { type RdbHeader, type RdbKey, RdbReader } from './rdb-reader.ts';
import type { ValueSink } from './rdb-values.ts';

export const savedBy = ['redis-6.0.16', 'redis-7.0.15', 'redis-8.0.6', 'valkey-8.1.1', 'valkey-9.1.2'] as const;

export function savedFile(name: (typeof savedBy)[number]): Buffer {
  return readFileSync(new URL(`../../../test/vectors/redis/${name}.rdb`, import.meta.url));
}

/** Everything a file says, for comparing: bytes as latin1, what has no order sorted. */
export interface ReadFile {
  header: RdbHeader | undefined;
  readonly libraries: string[];
  readonly types: Set<number>;
  readonly values: Map<string, readonly string[]>;
}

/** Reads a file given in pieces. */
export function readPieces(pieces: Iterable<Uint8Array>): ReadFile {
  const read: ReadFile = { header: undefined, libraries: [], types: new Set(), values: new Map() };
  const text = new TextSink();
  const reader = new RdbReader({
    header: (header) => {
      read.header = header;
    },
    library: (code) => read.libraries.push(latin1(code)),
    key: () => text,
    keyEnd: (key) => {
      read.types.add(key.type);
      read.values.set(nameOf(key), text.take(key));
    },
  });
  for (const piece of pieces) reader.feed(Buffer.from(piece));
  reader.end();
  return read;
}

export function nameOf({ database, kind, name, expiresAtMs }: RdbKey): string {
  return `${database} ${kind} ${latin1(name)}${expiresAtMs === undefined ? '' : ` @${expiresAtMs}`}`;
}

export function* piecesOf(bytes: Uint8Array, size: () => number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; ) {
    const end = at + Math.max(1, size());
    yield bytes.subarray(at, end);
    at = end;
  }
}

class TextSink implements ValueSink {
  #lines: string[] = [];

  take({ kind }: RdbKey): string[] {
    const lines = this.#lines;
    this.#lines = [];
    if (kind === 'string') return [lines.join('')];
    return kind === 'list' || kind === 'stream' ? lines : lines.toSorted((a, b) => (a < b ? -1 : 1));
  }

  text(part: Uint8Array): void {
    this.#lines.push(latin1(part));
  }
  element(value: Uint8Array): void {
    this.#lines.push(latin1(value));
  }
  scored(member: Uint8Array, score: number): void {
    this.#lines.push(`${latin1(member)}=${Object.is(score, -0) ? '-0' : score}`);
  }
  field(name: Uint8Array, value: Uint8Array, expiresAtMs: bigint | undefined): void {
    this.#lines.push(`${latin1(name)}=${latin1(value)}${expiresAtMs === undefined ? '' : ` @${expiresAtMs}`}`);
  }
  entry(id: { ms: bigint; sequence: bigint }, fields: readonly Uint8Array[]): void {
    this.#lines.push(`${id.ms}-${id.sequence} ${fields.map(latin1).join(',')}`);
  }
  counters({ length, lastId, firstId, maxDeletedId, entriesAdded }: Parameters<ValueSink['counters']>[0]): void {
    const ids = [lastId, firstId, maxDeletedId].map(({ ms, sequence }) => `${ms}-${sequence}`);
    this.#lines.push(`counters ${length} ${ids.join(' ')} ${entriesAdded}`);
  }
  group({ name, lastId, entriesRead }: Parameters<ValueSink['group']>[0]): void {
    this.#lines.push(`group ${latin1(name)} ${lastId.ms}-${lastId.sequence} ${entriesRead}`);
  }
  /** Without when it was delivered. */
  pending(id: Uint8Array, _deliveredMs: bigint, deliveries: bigint): void {
    this.#lines.push(`pending ${view(id).toString('hex')} ${deliveries}`);
  }
  consumer({ name }: Parameters<ValueSink['consumer']>[0]): void {
    this.#lines.push(`consumer ${latin1(name)}`);
  }
  owned(id: Uint8Array): void {
    this.#lines.push(`owned ${view(id).toString('hex')}`);
  }
}

function latin1(bytes: Uint8Array): string {
  return view(bytes).toString('latin1');
}
