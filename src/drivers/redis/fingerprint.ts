/**
 * Exact facts about all keys, taken from an RDB file as it passes: per database how many keys there are and how many of them
 * expire; per kind of value the keys, their elements, and the digest of all names, values and expiries; the functions.
 */
import { hash } from 'node:crypto';
import type { Fact } from '../../model/fingerprint.ts';
import type { RdbHeader, RdbKey, RdbVisitor } from '../../protocols/redis/rdb-reader.ts';
import type { ValueKind, ValueSink } from '../../protocols/redis/rdb-values.ts';
import { DigestSum, KeyDigest } from './value-digest.ts';

/** Names of the algorithms; a change of what they mean gets a new name. */
export const algorithms = { full: 'redis-keys-1', counts: 'redis-counts-1' } as const;
export type Level = keyof typeof algorithms;

interface KindFacts {
  keys: number;
  elements: number;
  readonly sum: DigestSum;
}

interface DatabaseFacts {
  keys: number;
  expiring: number;
  readonly kinds: Map<ValueKind, KindFacts>;
}

export class FactsTaker implements RdbVisitor {
  readonly databases = new Map<number, DatabaseFacts>();
  readonly notes = new Map<string, string>();
  rdb: RdbHeader | undefined;
  moduleParts = 0;
  libraries = 0;
  readonly #librarySum = new DigestSum();
  readonly #digest = new KeyDigest();
  readonly #level: Level;

  constructor(level: Level) {
    this.#level = level;
  }

  header(header: RdbHeader): void {
    this.rdb = header;
  }

  aux(name: string, value: string): void {
    if (this.notes.size < 100) this.notes.set(name, value);
  }

  moduleAux(): void {
    this.moduleParts++;
  }

  library(code: Uint8Array): void {
    this.libraries++;
    this.#librarySum.add(hash('sha256', code, 'buffer'));
  }

  key(key: RdbKey): ValueSink | undefined {
    if (this.#level === 'counts' || key.kind === 'module') return undefined;
    this.#digest.begin(key);
    return this.#digest;
  }

  keyEnd(key: RdbKey): void {
    const facts = this.#database(key.database);
    facts.keys++;
    if (key.expiresAtMs !== undefined) facts.expiring++;
    const kind = kindIn(facts, key.kind);
    kind.keys++;
    if (this.#level === 'counts' || key.kind === 'module') return;
    kind.elements += this.#digest.elements;
    kind.sum.add(this.#digest.end());
  }

  /** Keys of modules: their values are stored, and cannot be compared. */
  moduleKeys(): number {
    return [...this.databases.values()].reduce((sum, { kinds }) => sum + (kinds.get('module')?.keys ?? 0), 0);
  }

  facts(): Fact[] {
    const perDatabase = [...this.databases]
      .toSorted(([a], [b]) => a - b)
      .flatMap(([index, facts]) => this.#of(index, facts));
    const total = [...this.databases.values()].reduce((sum, { keys }) => sum + keys, 0);
    return [fact('server', 'keys', total), ...perDatabase, ...this.#functions()];
  }

  #of(index: number, { keys, expiring, kinds }: DatabaseFacts): Fact[] {
    const subject = `database ${index}`;
    const all = [fact(subject, 'keys', keys), fact(subject, 'keys that expire', expiring)];
    for (const [kind, facts] of [...kinds].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      const of = `${subject}: ${plural[kind]}`;
      all.push(fact(of, 'keys', facts.keys));
      if (this.#level === 'counts' || kind === 'module') continue;
      all.push(fact(of, 'elements', facts.elements), fact(of, 'digest', facts.sum.hex()));
    }
    return all;
  }

  #functions(): Fact[] {
    if (this.libraries === 0) return [];
    return [fact('functions', 'libraries', this.libraries), fact('functions', 'digest', this.#librarySum.hex())];
  }

  #database(index: number): DatabaseFacts {
    const known = this.databases.get(index);
    if (known) return known;
    const fresh: DatabaseFacts = { keys: 0, expiring: 0, kinds: new Map() };
    this.databases.set(index, fresh);
    return fresh;
  }
}

const plural: Readonly<Record<ValueKind, string>> = {
  string: 'strings',
  list: 'lists',
  set: 'sets',
  zset: 'sorted sets',
  hash: 'hashes',
  stream: 'streams',
  module: 'values of modules',
};

function kindIn({ kinds }: DatabaseFacts, kind: ValueKind): KindFacts {
  const known = kinds.get(kind);
  if (known) return known;
  const fresh = { keys: 0, elements: 0, sum: new DigestSum() };
  kinds.set(kind, fresh);
  return fresh;
}

function fact(subject: string, measure: string, value: string | number): Fact {
  return { subject, measure, value: String(value) };
}
