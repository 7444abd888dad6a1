/** What of a dump is to be restored: one pass over it, before anything is touched. */
import { throwIfCancelled } from '../../base/errors.ts';
import { decodeName } from '../../base/names.ts';
import { compileSelection } from '../../base/patterns.ts';
import { type RdbKey, RdbReader, type RdbVisitor } from '../../protocols/redis/rdb-reader.ts';
import type { RestoreRequest, SnapshotContents, SourceContext } from '../driver.ts';
import { dumpPath } from './backup.ts';

export interface DatabasePlan {
  keys: number;
  expiring: number;
  /** Those that can go by themselves: they expire, or all of a hash's fields may. */
  fading: number;
  /** Their time has passed: they are left out. */
  expired: number;
}

export interface RestorePlan {
  readonly databases: ReadonlyMap<number, DatabasePlan>;
  readonly keys: number;
  readonly libraries: number;
  readonly moduleKeys: number;
  /** The newest RDB version that one of the values needs. */
  readonly needs: number;
  readonly largestBytes: number;
  readonly largestKey: RdbKey | undefined;
  /** Of the source's server, if it noted it: the part of it that the chosen keys take. */
  readonly usedMemoryBytes: number;
}

export type Choose = (key: RdbKey) => 'restore' | 'expired' | 'leave';

/**
 * Patterns see `/<database>/<key>`: `user:*` fits in every database, `/0/**` all of database 0. As everywhere, `*` stops at
 * a `/` in a key.
 */
export function chooser(request: Pick<RestoreRequest, 'include' | 'exclude'>, nowMs: number): Choose {
  const isPartial = isPart(request);
  const selection = compileSelection(request);
  const now = BigInt(Math.floor(nowMs));
  return (key) => {
    if (isPartial && !selection.select(`/${key.database}/${decodeName(key.name)}`, false).selected) return 'leave';
    return key.expiresAtMs !== undefined && key.expiresAtMs <= now ? 'expired' : 'restore';
  };
}

export function isPart({ include, exclude }: Pick<RestoreRequest, 'include' | 'exclude'>): boolean {
  return Boolean(include?.length) || Boolean(exclude?.length);
}

/** Reads the whole dump once. Memory: that of the reader. */
export async function planRestore(
  source: Pick<SourceContext<unknown>, 'signal'>,
  contents: SnapshotContents,
  choose: Choose,
): Promise<RestorePlan> {
  const planner = new Planner(choose);
  await readDump(source.signal, contents, planner);
  return planner;
}

/** Feeds the dump to a visitor; `between` is called after each piece. */
export async function readDump(
  signal: AbortSignal,
  contents: SnapshotContents,
  visitor: RdbVisitor,
  between: () => Promise<void> = async () => {},
): Promise<void> {
  const reader = new RdbReader(visitor);
  for await (const piece of contents.read(dumpPath)) {
    throwIfCancelled(signal);
    // The pieces are the repository's own buffers, and the reader keeps views of what it is given.
    reader.feed(Buffer.from(piece));
    await between();
  }
  reader.end();
}

class Planner implements RdbVisitor, RestorePlan {
  readonly databases = new Map<number, DatabasePlan>();
  keys = 0;
  libraries = 0;
  moduleKeys = 0;
  needs = 0;
  largestBytes = 0;
  largestKey: RdbKey | undefined;
  #usedMemoryBytes = 0;
  #allBytes = 0;
  #chosenBytes = 0;
  readonly #choose: Choose;

  constructor(choose: Choose) {
    this.#choose = choose;
  }

  get usedMemoryBytes(): number {
    return this.#allBytes === 0 ? 0 : Math.ceil((this.#usedMemoryBytes * this.#chosenBytes) / this.#allBytes);
  }

  aux(name: string, value: string): void {
    if (name === 'used-mem') this.#usedMemoryBytes = Number(value) || 0;
  }

  library(): void {
    this.libraries++;
  }

  key(): undefined {}

  keyEnd(key: RdbKey, bytes: number): void {
    const choice = this.#choose(key);
    // The name takes memory, too, and with it no key is of size 0.
    const stored = bytes + key.name.byteLength;
    this.#allBytes += stored;
    if (choice === 'leave') return;
    const plan = this.databases.get(key.database) ?? { keys: 0, expiring: 0, fading: 0, expired: 0 };
    this.databases.set(key.database, plan);
    if (choice === 'expired') {
      plan.expired++;
      return;
    }
    this.#chosenBytes += stored;
    this.keys++;
    plan.keys++;
    if (key.expiresAtMs !== undefined) plan.expiring++;
    if (key.expiresAtMs !== undefined || hasFieldsThatExpire(key)) plan.fading++;
    if (key.kind === 'module') this.moduleKeys++;
    this.needs = Math.max(this.needs, key.since);
    if (bytes <= this.largestBytes) return;
    this.largestBytes = bytes;
    this.largestKey = key;
  }
}

/** Types of their own, which servers use for no other hashes: from 7.4 of Redis and 9 of Valkey on. */
function hasFieldsThatExpire({ kind, since }: RdbKey): boolean {
  return kind === 'hash' && since >= firstWithFieldExpiry;
}

const firstWithFieldExpiry = 12;
