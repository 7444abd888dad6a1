/**
 * Snapshots of one repository into another by copying blobs: no source is read. A copied snapshot has the tree, time, paths
 * and tags of its original and names it in `original`, as `restic copy` does, so that either program knows it again. The
 * newest one goes first, and each appears only when all it needs is durable over there.
 *
 * What travels: everything in the tree, facts and fingerprint included; a pin, when its snapshot is copied. Proofs do not:
 * what was proven is that one repository could give the state back.
 *
 * Memory: what `MissingBlobs` and `copyBlobs` take, and the indexes of both: 300 to 350 MiB
 * with two cores (measured), and 130 bytes a blob.
 */
import { availableParallelism } from 'node:os';
import type { Clock } from '../base/clock.ts';
import { type HoldfastError, hasCode, throwIfCancelled } from '../base/errors.ts';
import type { Report } from '../model/run.ts';
import type { Snapshot, StoredSnapshot } from '../model/snapshot.ts';
import {
  adoptPacks,
  type BlobIndex,
  type Compression,
  copyBlobs,
  type HeldLock,
  listPins,
  listSnapshots,
  loadIndex,
  lockForReading,
  lockRepository,
  MissingBlobs,
  type Repository,
  reloadIndex,
  savePinnedSnapshot,
  saveSnapshot,
  type WorkerPool,
  workerPoolFor,
} from '../repository/index.ts';
import { CopyMeter } from './copy-meter.ts';

/** Workers that open: it is half the work of sealing, and each takes memory. */
const openers = Math.min(4, Math.ceil(availableParallelism() / 2));

/** Stored bytes after which what was walked is copied, so that many small snapshots share packs. */
const batchBytes = 256 << 20;

/** What both repositories list, under their locks. */
export interface CopySides {
  readonly from: readonly StoredSnapshot[];
  readonly to: readonly StoredSnapshot[];
  /** Ids of pinned snapshots of `from`. */
  readonly pins: ReadonlySet<string>;
}

export interface CopyChoice {
  /** What to copy, in this order. */
  readonly wanted: readonly StoredSnapshot[];
  /** Snapshots of `from` whose copies are over there already: what they share with the wanted ones is not looked at again. */
  readonly present: readonly StoredSnapshot[];
}

export interface CopyRequest {
  readonly from: Repository;
  readonly to: Repository;
  readonly choose: (sides: CopySides) => CopyChoice;
  /** Only say what would be copied: nothing is written but locks. */
  readonly dryRun?: boolean;
  readonly compression?: Compression;
  /** Workers that open, and as many that seal; default: half as many as cores, and one per core. */
  readonly threads?: number;
  /** How long to wait while somebody else has one of them to themselves. */
  readonly lockWaitMs?: number;
  readonly clock: Clock;
  readonly report: Report;
  readonly signal?: AbortSignal;
}

export interface CopiedSnapshot {
  readonly snapshot: StoredSnapshot;
  /** Its id over there; absent in a dry run. */
  readonly id?: string;
  /** What it needed that was not there, and what no snapshot before it had brought. */
  readonly blobs: number;
  /** The same as the origin stores it. */
  readonly bytes: number;
}

export interface CopyResult {
  readonly copied: readonly CopiedSnapshot[];
  /** Damaged in the origin: the others were copied all the same. */
  readonly failed: readonly { readonly snapshot: StoredSnapshot; readonly error: HoldfastError }[];
  /** As stored over there; 0 in a dry run. */
  readonly storedBytes: number;
  /** Packs that an interrupted run had sent already. */
  readonly adoptedPacks: number;
  /** False: a backup straight into the other repository cuts files elsewhere, and finds little of what was copied. */
  readonly sameCuts: boolean;
  readonly durationMs: number;
}

/** Throws what concerns a whole repository; a damaged snapshot is only left out and listed. */
export async function copySnapshots(request: CopyRequest): Promise<CopyResult> {
  const { from, to, clock, report, dryRun = false, lockWaitMs: waitMs = 0 } = request;
  const startedMs = clock.monotonicMs();
  report({ type: 'stage', stage: 'lock' });
  await using locks = await lockBoth(request, waitMs);
  const { signal } = locks;
  const [listed, there, pins] = await Promise.all([
    listSnapshots(from, signal),
    listSnapshots(to, signal),
    listPins(from, signal),
  ]);
  const { wanted, present } = request.choose({ from: listed, to: there, pins });
  const sameCuts = from.config.chunkerPolynomial === to.config.chunkerPolynomial;
  if (wanted.length === 0) {
    const nothing = { copied: [], failed: [], storedBytes: 0, adoptedPacks: 0 };
    return { ...nothing, sameCuts, durationMs: clock.monotonicMs() - startedMs };
  }
  await using run = new CopyRun({ ...request, signal }, { wanted, present, pins });
  await run.begin();
  await (dryRun ? run.look() : run.copy());
  const { copied, failed, storedBytes, adoptedPacks } = run;
  return { copied, failed, storedBytes, adoptedPacks, sameCuts, durationMs: clock.monotonicMs() - startedMs };
}

/** Both at once: each takes a moment to settle. If one cannot be had, the other is given back. */
async function lockBoth(request: CopyRequest, waitMs: number): Promise<AsyncDisposable & { signal: AbortSignal }> {
  const { from, to, report, signal, dryRun } = request;
  const reading = (one: Repository): Promise<HeldLock | undefined> => lockForReading(one, report, { signal, waitMs });
  const outcomes = await Promise.allSettled([
    reading(from),
    dryRun ? reading(to) : lockRepository(to, { exclusive: false, waitMs, signal }),
  ]);
  const held = outcomes.flatMap((one) => (one.status === 'fulfilled' && one.value ? [one.value] : []));
  const release = async (): Promise<void> => {
    await Promise.all(held.map((lock) => lock[Symbol.asyncDispose]()));
  };
  const failed = outcomes.find((one) => one.status === 'rejected');
  if (failed) {
    await release();
    throw failed.reason;
  }
  const signals = [signal, ...held.map((lock) => lock.signal)].filter((one) => one !== undefined);
  return { signal: AbortSignal.any(signals), [Symbol.asyncDispose]: release };
}

/** A snapshot with the entries it brings. */
interface Walked {
  readonly snapshot: StoredSnapshot;
  readonly entries: readonly number[];
  readonly bytes: number;
}

/** One copy under way, from the loaded indexes to the last snapshot. */
class CopyRun implements AsyncDisposable {
  readonly copied: CopiedSnapshot[] = [];
  readonly failed: { snapshot: StoredSnapshot; error: HoldfastError }[] = [];
  storedBytes = 0;
  adoptedPacks = 0;
  readonly #request: CopyRequest & { readonly signal: AbortSignal };
  readonly #wanted: readonly StoredSnapshot[];
  readonly #present: readonly StoredSnapshot[];
  readonly #pins: ReadonlySet<string>;
  readonly #pool: WorkerPool;
  readonly #meter: CopyMeter;
  #index!: BlobIndex;
  #missing!: MissingBlobs;

  constructor(
    request: CopyRequest & { readonly signal: AbortSignal },
    { wanted, present, pins }: CopyChoice & { readonly pins: ReadonlySet<string> },
  ) {
    this.#request = request;
    this.#wanted = wanted;
    this.#present = present;
    this.#pins = pins;
    this.#pool = workerPoolFor(request.from, request.threads ?? openers);
    this.#meter = new CopyMeter(request.report, request.clock, wanted.length);
  }

  /** Reads both indexes anew: what was known of them from before the locks may have been pruned since. */
  async begin(): Promise<void> {
    const { from, to, signal, report, dryRun } = this.#request;
    this.#index = await reloadIndex(from, signal);
    await reloadIndex(to, signal);
    if (!dryRun) {
      const { packs } = await adoptPacks(to, signal);
      this.adoptedPacks = packs;
      const message = `${packs} pack(s) that an interrupted run had stored in ${to.storage.location} are not sent again`;
      if (packs > 0) report({ type: 'note', message });
    }
    await this.#walkAnew();
  }

  async look(): Promise<void> {
    for (const snapshot of this.#wanted) {
      const walked = await this.#walk(snapshot);
      if (walked) this.copied.push({ snapshot, blobs: walked.entries.length, bytes: walked.bytes });
    }
  }

  async copy(): Promise<void> {
    let batch: Walked[] = [];
    let bytes = 0;
    for (const [i, snapshot] of this.#wanted.entries()) {
      const walked = await this.#walk(snapshot);
      if (walked) batch.push(walked);
      bytes += walked?.bytes ?? 0;
      const isLast = i === this.#wanted.length - 1;
      this.#meter.expect(walked?.bytes ?? 0, isLast);
      if (bytes < batchBytes && !isLast) continue;
      await this.#copyBatch(batch);
      batch = [];
      bytes = 0;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.close();
  }

  /** Forgets what former walks found to be on its way. */
  async #walkAnew(): Promise<void> {
    const { from, to, signal } = this.#request;
    // Loaded again if a failed saver has dropped it, with its claims.
    const toIndex = await loadIndex(to, signal);
    this.#missing = new MissingBlobs({ from, index: this.#index, toIndex, pool: this.#pool, signal });
  }

  async #walk(snapshot: StoredSnapshot): Promise<Walked | undefined> {
    const { signal } = this.#request;
    throwIfCancelled(signal);
    try {
      const entries = await this.#missing.reach(snapshot.tree, this.#relatives(snapshot));
      const bytes = entries.reduce((sum, entry) => sum + this.#index.storedLength(entry), 0);
      return { snapshot, entries, bytes };
    } catch (error) {
      await this.#leaveOut(snapshot, error);
      return undefined;
    }
  }

  /** The tree of the nearest snapshot of the same paths that is over there: the one most of it is shared with. */
  #relatives(snapshot: StoredSnapshot): string[] {
    const paths = JSON.stringify(snapshot.paths);
    const related = this.#present.filter((one) => JSON.stringify(one.paths) === paths);
    const distance = (one: StoredSnapshot): number => Math.abs(one.timeMs - snapshot.timeMs);
    return related
      .toSorted((a, b) => distance(a) - distance(b))
      .slice(0, 1)
      .map((one) => one.tree);
  }

  async #copyBatch(batch: readonly Walked[]): Promise<void> {
    try {
      await this.#send(batch.flatMap(({ entries }) => entries));
    } catch (error) {
      if (batch.length === 0 || !(await this.#isDamage(error))) throw error;
      await this.#walkAnew();
      if (batch.length === 1) return await this.#leaveOut(batch[0].snapshot, error);
      // One of them cannot be read whole: each by itself, so that the others are copied.
      for (const { snapshot } of batch) await this.#copyAlone(snapshot);
      return;
    }
    for (const walked of batch) await this.#save(walked);
  }

  async #copyAlone(snapshot: StoredSnapshot): Promise<void> {
    const walked = await this.#walk(snapshot);
    if (walked) await this.#copyBatch([walked]);
  }

  async #send(entries: readonly number[]): Promise<void> {
    if (entries.length === 0) return;
    const { from, to, compression, threads, signal } = this.#request;
    const progress = (bytes: number): void => this.#meter.add(bytes);
    const parts = { from, to, index: this.#index, pool: this.#pool, compression, threads, progress, signal };
    const stats = await copyBlobs(parts, entries);
    this.storedBytes += stats.storedBytes;
  }

  async #save({ snapshot, entries, bytes }: Walked): Promise<void> {
    const { to, signal } = this.#request;
    throwIfCancelled(signal);
    // Once it is there nobody copies it again, nor its pin.
    const save = this.#pins.has(snapshot.id) ? savePinnedSnapshot : saveSnapshot;
    const id = await save(to, copyOf(snapshot));
    this.copied.push({ snapshot, id, blobs: entries.length, bytes });
    this.#meter.finished(snapshot);
  }

  async #leaveOut(snapshot: StoredSnapshot, error: unknown): Promise<void> {
    if (!(await this.#isDamage(error))) throw error;
    const damage = error as HoldfastError;
    this.failed.push({ snapshot, error: damage });
    const message = `snapshot ${snapshot.id.slice(0, 8)} cannot be copied: ${damage.message}`;
    this.#request.report({ type: 'warning', code: damage.code, message });
  }

  /** True if it concerns what one snapshot needs, and not a storage as a whole: a disk that was pulled out has no packs either. */
  async #isDamage(error: unknown): Promise<boolean> {
    if (hasCode(error, 'repository.damaged')) return true;
    if (!hasCode(error, 'storage.not-found')) return false;
    const { from, to } = this.#request;
    const found = await Promise.allSettled([from, to].map(({ storage }) => storage.stat('config')));
    return found.every((one) => one.status === 'fulfilled' && one.value !== undefined);
  }
}

/** restic's copy: no parent, which would be an id of the other repository, and the id it had where it was made. */
function copyOf({ id, timeMs: _, parent: __, ...snapshot }: StoredSnapshot): Snapshot {
  return { ...snapshot, original: snapshot.original ?? id };
}
