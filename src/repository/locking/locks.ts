/**
 * Locks between programs that share a repository (restic design.rst, "Locks"): a lock is a file; writers of snapshots hold
 * a shared one, whoever removes data an exclusive one. Create, wait, look again, give way on conflict. Refreshed every five
 * minutes; stale after thirty, or when its process is gone from this host. Stale locks are removed here without being
 * asked: what a dead process left must not keep the next backup from running.
 */
import { hostname } from 'node:os';
import type { Clock } from '../../base/clock.ts';
import { currentUser } from '../../base/current-user.ts';
import { HoldfastError, hasCode, systemCode } from '../../base/errors.ts';
import { decodeLock, encodeLock, type Lock } from '../format/lock.ts';
import { sha256Hex } from '../ids.ts';
import { unpackedName } from '../layout.ts';
import type { Repository } from '../repository.ts';
import { deleteUnpacked, listUnpacked, loadUnpacked, saveUnpacked } from '../sealing/unpacked.ts';
import { lockedBy, lockLost, lockUnseen, unreadableLock } from './failures.ts';

const refreshMs = 5 * 60_000;
/** A lock this old is nobody's: restic and Holdfast both refresh at a sixth of it. */
const staleMs = 30 * 60_000;
/** After this long without a successful refresh others may soon take the lock for stale: stop before they do. */
const lostMs = 25 * 60_000;
/** Time for another program's lock file to become visible. */
const settleMs = 200;
/** Times a lock is stored before the storage is given up. */
const mostWrites = 3;
/** A lock is one small write: one that is incomplete for this long is no longer being written. */
const tornMs = 2000;
/** Times a lock that cannot be read is read again. */
const mostLooks = 4;

/** Locks held by this very process: not stale although their pid is ours. */
const own = new Set<string>();

export interface StoredLock extends Lock {
  readonly id: string;
  readonly stale: boolean;
}

export interface HeldLock extends AsyncDisposable {
  /** Aborted with `repository.lock-lost` when the lock can no longer be trusted, and when the caller's signal is. */
  readonly signal: AbortSignal;
  /** True if locks of dead processes were found: an interrupted run may have left packs to adopt. */
  readonly foundStale: boolean;
  /** Resolves once nobody can be found any more who excludes it; else rejects as `signal` is aborted, with `repository.locked`. */
  readonly confirmed: Promise<void>;
}

export interface LockRequest {
  readonly exclusive: boolean;
  /**
   * Resolves before the lock is confirmed: when it is stored and nobody who excludes it was seen after that. Whoever removes
   * something from here on sees it first, so what is read now stays; nothing may be written or taken for held until
   * `confirmed`. For shared locks.
   */
  readonly early?: boolean;
  /** How long to wait for others, 0 = not at all. */
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
}

/** Takes a lock; released by disposing it. `repository.locked` names the holder. */
export async function lockRepository(repository: Repository, request: LockRequest): Promise<HeldLock> {
  const { clock } = repository;
  const giveUpAtMs = clock.monotonicMs() + (request.waitMs ?? 0);
  for (let pauseMs = 1000; ; pauseMs = Math.min(pauseMs * 2, 30_000)) {
    try {
      return await tryLock(repository, request);
    } catch (error) {
      if (!hasCode(error, 'repository.locked') || clock.monotonicMs() + pauseMs > giveUpAtMs) throw error;
      await clock.sleep(pauseMs, { signal: request.signal });
    }
  }
}

async function tryLock(repository: Repository, { exclusive, early, signal }: LockRequest): Promise<HeldLock> {
  const foundStale = await refuseConflicts(repository, exclusive);
  const lock = new RefreshedLock(repository, exclusive, foundStale, signal);
  try {
    await storeSeen(lock);
    lock.settle();
    if (!early) await lock.confirmed;
  } catch (error) {
    await lock[Symbol.asyncDispose]();
    throw error;
  }
  return lock;
}

/** Whoever stores a lock sees it: what the storage acknowledged and lost is stored again. */
async function storeSeen(lock: RefreshedLock): Promise<void> {
  for (let writes = 1; ; writes++) {
    try {
      await lock.create();
      return await lock.look({ read: false });
    } catch (error) {
      if (!(error instanceof HoldfastError) || error.context.unseen !== true || writes === mostWrites) throw error;
    }
  }
}

/** All locks with what is known of them. One that was stored in part only is stale; one that cannot be read otherwise counts as held by somebody: `repository.locked`. */
export async function listLocks(repository: Repository): Promise<StoredLock[]> {
  const locks: StoredLock[] = [];
  for await (const { id } of listUnpacked(repository, 'locks')) {
    const lock = await readLock(repository, id);
    if (lock) locks.push(lock);
  }
  return locks;
}

async function readLock(repository: Repository, id: string): Promise<StoredLock | undefined> {
  try {
    const lock = decodeLock(await loadUnpacked(repository, 'locks', id));
    return { ...lock, id, stale: isStale(lock, id, repository.clock) };
  } catch (error) {
    if (hasCode(error, 'storage.not-found')) return undefined;
    if (!hasCode(error, 'repository.damaged', 'repository.unsupported')) throw error;
    const again = await lookAgain(repository, id);
    if (again === 'unreadable') throw unreadableLock(repository, id, error);
    return again === 'gone' ? undefined : again;
  }
}

/**
 * A lock whose bytes are not those it is named after, and do not change any more, was never stored whole: nobody holds it,
 * since whoever takes a lock looks at it again. It is read until it is whole, or came twice as it was before: a bit that
 * flips on the way makes no difference for long.
 */
async function lookAgain(repository: Repository, id: string): Promise<StoredLock | 'gone' | 'unreadable'> {
  const { storage, clock } = repository;
  const name = unpackedName('locks', id);
  try {
    let before = await storage.get(name);
    for (let looks = 0; looks < mostLooks; looks++) {
      await clock.sleep(tornMs);
      const after = await storage.get(name);
      if (sha256Hex(after) === id) {
        const lock = decodeLock(await loadUnpacked(repository, 'locks', id));
        return { ...lock, id, stale: isStale(lock, id, clock) };
      }
      if (Buffer.compare(before, after) === 0) return nobodys(id);
      before = after;
    }
    return 'unreadable';
  } catch (error) {
    if (hasCode(error, 'storage.not-found')) return 'gone';
    if (hasCode(error, 'repository.damaged', 'repository.unsupported')) return 'unreadable';
    throw error;
  }
}

function nobodys(id: string): StoredLock {
  return { id, stale: true, timeMs: 0, exclusive: false, hostname: '', username: '', pid: 0, uid: 0, gid: 0 };
}

/** Removes stale locks, or with `all` every lock; returns how many. */
export async function removeLocks(repository: Repository, options: { readonly all: boolean }): Promise<number> {
  const ids: string[] = [];
  if (options.all) {
    // Without a look inside: a lock that cannot be read is what this is for.
    for await (const { id } of listUnpacked(repository, 'locks')) ids.push(id);
  } else {
    for (const lock of await listLocks(repository)) if (lock.stale) ids.push(lock.id);
  }
  for (const id of ids) await deleteUnpacked(repository, 'locks', id);
  return ids.length;
}

/**
 * Throws if somebody else's lock excludes ours, or ours is not there; removes stale ones on the way and says whether there
 * were any. `read`: ours has to be there whole.
 */
async function refuseConflicts(
  repository: Repository,
  exclusive: boolean,
  own?: { readonly id: string; readonly read: boolean },
): Promise<boolean> {
  let foundStale = false;
  let foundOwn = own === undefined;
  for await (const { id } of listUnpacked(repository, 'locks')) {
    if (id === own?.id) {
      foundOwn = !own.read || (await isHeld(repository, id));
      continue;
    }
    const lock = await readLock(repository, id);
    if (lock === undefined) continue;
    if (lock.stale) {
      await removeWhereAllowed(repository, lock.id);
      foundStale = true;
    } else if (exclusive || lock.exclusive) {
      throw lockedBy(repository, lock);
    }
  }
  if (!foundOwn) throw lockUnseen(repository);
  return foundStale;
}

/** Whether a lock is there, and whole. */
async function isHeld(repository: Repository, id: string): Promise<boolean> {
  const lock = await readLock(repository, id);
  return lock !== undefined && !lock.stale;
}

/** Who may only add leaves stale locks to who may delete; they bind nobody. */
async function removeWhereAllowed(repository: Repository, id: string): Promise<void> {
  try {
    await deleteUnpacked(repository, 'locks', id);
  } catch (error) {
    if (!hasCode(error, 'storage.denied')) throw error;
  }
}

function isStale(lock: Lock, id: string, clock: Clock): boolean {
  if (clock.nowMs() - lock.timeMs > staleMs) return true;
  if (lock.hostname !== hostname() || lock.pid === 0) return false;
  if (lock.pid === process.pid) return !own.has(id);
  try {
    process.kill(lock.pid, 0);
    return false;
  } catch (error) {
    return systemCode(error) === 'ESRCH';
  }
}

class RefreshedLock implements HeldLock {
  readonly foundStale: boolean;
  readonly signal: AbortSignal;
  id = '';
  readonly #repository: Repository;
  readonly #exclusive: boolean;
  readonly #lost = new AbortController();
  readonly #released = new AbortController();
  #refreshedAtMs = 0;
  #refreshing: Promise<void> = Promise.resolve();
  #confirmed: Promise<void> = Promise.resolve();

  constructor(repository: Repository, exclusive: boolean, foundStale: boolean, signal: AbortSignal | undefined) {
    this.#repository = repository;
    this.#exclusive = exclusive;
    this.foundStale = foundStale;
    this.signal = signal ? AbortSignal.any([signal, this.#lost.signal]) : this.#lost.signal;
  }

  async create(): Promise<void> {
    const { clock } = this.#repository;
    const user = currentUser();
    const lock: Lock = {
      timeMs: clock.nowMs(),
      exclusive: this.#exclusive,
      hostname: hostname(),
      username: user.username,
      pid: process.pid,
      uid: user.uid,
      gid: user.gid,
    };
    surviveProbes();
    const id = await this.#save(encodeLock(lock));
    const previous = this.id;
    if (previous) await this.#requireHeld(id);
    this.id = id;
    this.#refreshedAtMs = clock.monotonicMs();
    if (previous) await this.#remove(previous);
  }

  /** It is ours before anybody can see it: another task of this process would take it for one that a dead process left. */
  async #save(lock: Uint8Array): Promise<string> {
    let made: string | undefined;
    try {
      return await saveUnpacked(this.#repository, 'locks', lock, async (id) => {
        made = id;
        own.add(id);
      });
    } catch (error) {
      if (made !== undefined) own.delete(made);
      throw error;
    }
  }

  /** The new one is there, and whole, before the old one goes; the first one is looked for among all. */
  async #requireHeld(id: string): Promise<void> {
    let held = false;
    try {
      held = await isHeld(this.#repository, id);
    } finally {
      if (!held) own.delete(id);
    }
    if (!held) throw lockUnseen(this.#repository);
  }

  get confirmed(): Promise<void> {
    return this.#confirmed;
  }

  /** Looks again after a while; from then on it is kept fresh. Once, after `create`. */
  settle(): void {
    this.#confirmed = this.#confirm();
    this.#confirmed.catch((error: unknown) => {
      if (!this.#released.signal.aborted) this.#lost.abort(error);
    });
  }

  /** Throws if somebody excludes it, or it is not there. */
  async look({ read }: { readonly read: boolean }): Promise<void> {
    await refuseConflicts(this.#repository, this.#exclusive, { id: this.id, read });
  }

  async #confirm(): Promise<void> {
    const { clock } = this.#repository;
    const ended = AbortSignal.any([this.#released.signal, this.signal]);
    const sinceMs = clock.monotonicMs() - this.#refreshedAtMs;
    await clock.sleep(Math.max(0, settleMs - sinceMs), { signal: ended });
    await this.look({ read: true });
    this.#refreshing = this.#refreshUntilReleased();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#released.abort();
    await this.#confirmed.catch(() => undefined);
    await this.#refreshing;
    if (!this.id) return;
    // Where it cannot be removed it is stale from now on for this host, in half an hour for others: no reason to fail
    // what was done under it, and not to hide the failure that may be on its way.
    await this.#remove(this.id).catch(() => undefined);
  }

  async #refreshUntilReleased(): Promise<void> {
    const { clock } = this.#repository;
    let pauseMs = refreshMs;
    for (;;) {
      try {
        await clock.sleep(pauseMs, { signal: this.#released.signal, background: true });
      } catch {
        return; // released
      }
      try {
        await this.create();
        pauseMs = refreshMs;
      } catch (cause) {
        pauseMs = 30_000;
        if (clock.monotonicMs() - this.#refreshedAtMs > lostMs)
          return this.#lost.abort(lockLost(this.#repository, cause));
      }
    }
  }

  async #remove(id: string): Promise<void> {
    try {
      await removeWhereAllowed(this.#repository, id);
    } finally {
      // From here on it is nobody's, whether or not it could be removed; before, nobody is to take it for one left over.
      own.delete(id);
    }
  }
}

/**
 * restic sends SIGHUP to the holder of a lock to see whether it lives, as when somebody runs `restic unlock`; without a
 * listener it would not for long. For good, since a probe may come late.
 */
function surviveProbes(): void {
  if (!process.listeners('SIGHUP').includes(ignoreProbe)) process.on('SIGHUP', ignoreProbe);
}

function ignoreProbe(): void {}
