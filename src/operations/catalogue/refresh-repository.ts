/** Brings what the catalogue knows of a repository up to date: after every run that changed it, and when it is asked for. */
import { forEachConcurrent } from '../../base/concurrency.ts';
import { hasCode } from '../../base/errors.ts';
import { changeRepository, knownContent, replaceRepository } from '../../catalogue/data/repository-content.ts';
import { saveChecked, saveSeen, saveUnseen } from '../../catalogue/data/repository-states.ts';
import { newestSize, type RepositorySize, recordSize } from '../../catalogue/data/sizes.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import type { StoredProof } from '../../model/proof.ts';
import type { RunRecord } from '../../model/run-record.ts';
import type { StoredSnapshot } from '../../model/snapshot.ts';
import {
  listPins,
  listUnpacked,
  loadProof,
  loadSnapshot,
  packsFolder,
  type Repository,
} from '../../repository/index.ts';
import { describeError, type ErrorDescription } from '../describe-error.ts';
import type { Execution, RepositoryAccess } from '../operation.ts';
import { openNamed } from '../repositories/repository-access.ts';
import { readRecord } from '../repositories/repository-record.ts';

type Uses = RepositoryAccess & Execution;

export interface Refreshed {
  readonly repository: string;
  /** Absent if it could not be read: what was known of it stays. */
  readonly content?: { readonly snapshots: number; readonly proofs: number };
  readonly error?: ErrorDescription;
}

/** Listing all packs takes a request for each thousand of them at some storages: not after every run. */
const sizeEveryMs = 20 * 3_600_000;
const readsAtOnce = 16;

/**
 * Reads the snapshots and proofs that are new in it, whatever their number; `whole`: all of them, as if nothing were known.
 * A repository that cannot be read is written down as such and is no error here; `cancelled` is thrown, and so is what the
 * catalogue itself cannot do. Several at once for one repository do no harm. Memory: what is new.
 */
export async function refreshRepository(
  catalogue: Catalogue,
  name: string,
  uses: Uses & { readonly whole?: boolean },
): Promise<Refreshed> {
  // Before the listing: what another process adds meanwhile is not taken for something that has gone.
  const known = await knownContent(catalogue, name);
  const read = await readContent(catalogue, name, { known, uses });
  if ('error' in read) {
    const { code, message } = read.error;
    await saveUnseen(catalogue, { repository: name, code, message });
    return { repository: name, error: read.error };
  }
  const { id, snapshots, proofs, pins, storedBytes } = read;
  if (uses.whole) await replaceRepository(catalogue, name, { snapshots: snapshots.added, proofs: proofs.added, pins });
  else await changeRepository(catalogue, name, { snapshots, proofs, pins });
  const atMs = uses.clock.nowMs();
  await saveSeen(catalogue, { repository: name, id, atMs });
  const lastCheck = (await readRecord(name, uses))?.lastCheck;
  if (lastCheck) await saveChecked(catalogue, { repository: name, atMs: lastCheck.atMs, ok: lastCheck.ok });
  if (storedBytes !== undefined) await saveSize(catalogue, { repository: name, atMs, storedBytes });
  return { repository: name, content: { snapshots: snapshots.count, proofs: proofs.count } };
}

/** After a run that ended: every repository it may have changed. */
export async function refreshAfter(catalogue: Catalogue, run: RunRecord, uses: Uses): Promise<Refreshed[]> {
  const refreshed: Refreshed[] = [];
  for (const name of repositoriesOf(run, uses)) refreshed.push(await refreshRepository(catalogue, name, uses));
  return refreshed;
}

/** A restore changes none; a backup fills the further repositories of its source, too. */
export function repositoriesOf(
  { kind, source, repository, input }: RunRecord,
  { config }: Pick<Uses, 'config'>,
): string[] {
  if (kind === 'restore') return [];
  const placed = config.sources.get(source ?? '')?.placements.map((one) => one.repository) ?? [];
  const to = typeof input.to === 'string' ? [input.to] : [];
  const named = kind === 'copy' ? to : repository === undefined ? placed : [repository];
  const all = kind === 'backup' ? [...named, ...placed] : named;
  return [...new Set(all)].filter((name) => config.repositories.has(name));
}

/** What was found empty is looked at again: the first backup is what a person waits to see. */
function isRecent(size: RepositorySize | undefined, nowMs: number): boolean {
  return size !== undefined && size.snapshots > 0 && nowMs - size.atMs < sizeEveryMs;
}

interface Listed<Item> {
  readonly added: readonly Item[];
  readonly removed: readonly string[];
  readonly count: number;
}

interface Read {
  readonly id: string;
  readonly snapshots: Listed<StoredSnapshot>;
  readonly proofs: Listed<StoredProof>;
  readonly pins: ReadonlySet<string>;
  /** Absent if it was measured a short while ago. */
  readonly storedBytes?: number;
}

async function readContent(
  catalogue: Catalogue,
  name: string,
  {
    known,
    uses,
  }: { readonly known: Awaited<ReturnType<typeof knownContent>>; readonly uses: Uses & { whole?: boolean } },
): Promise<Read | { readonly error: ErrorDescription }> {
  const { signal, whole = false } = uses;
  const lastSize = await newestSize(catalogue, name);
  const isMeasured = !whole && isRecent(lastSize, uses.clock.nowMs());
  try {
    await using opened = await openNamed(name, uses);
    const { repository } = opened;
    const [snapshots, proofs, pins, storedBytes] = await Promise.all([
      listNew(repository, 'snapshots', { known: known.snapshots, whole, load: loadSnapshot, signal }),
      listNew(repository, 'proofs', { known: known.proofs, whole, load: loadProof, signal }),
      listPins(repository, signal),
      isMeasured ? undefined : bytesOf(repository, signal),
    ]);
    return { id: repository.config.id, snapshots, proofs, pins, ...(storedBytes === undefined ? {} : { storedBytes }) };
  } catch (error) {
    if (signal.aborted || hasCode(error, 'cancelled')) throw error;
    return { error: describeError(error) };
  }
}

async function listNew<Item>(
  repository: Repository,
  folder: 'snapshots' | 'proofs',
  {
    known,
    whole,
    load,
    signal,
  }: {
    readonly known: ReadonlySet<string>;
    readonly whole: boolean;
    readonly load: (repository: Repository, id: string, signal: AbortSignal) => Promise<Item>;
    readonly signal: AbortSignal;
  },
): Promise<Listed<Item>> {
  const there = new Set<string>();
  const added: Item[] = [];
  await forEachConcurrent(
    listUnpacked(repository, folder, signal),
    readsAtOnce,
    async ({ id }) => {
      there.add(id);
      if (known.has(id) && !whole) return;
      try {
        added.push(await load(repository, id, signal));
      } catch (error) {
        if (!hasCode(error, 'storage.not-found')) throw error;
        there.delete(id);
      }
    },
    signal,
  );
  return { added, removed: [...known].filter((id) => !there.has(id)), count: there.size };
}

/** Of the packs: what else there is does not count against them. */
async function bytesOf(repository: Repository, signal: AbortSignal): Promise<number> {
  let bytes = 0;
  for await (const { sizeBytes } of repository.storage.list(packsFolder, signal)) bytes += sizeBytes;
  return bytes;
}

async function saveSize(
  catalogue: Catalogue,
  {
    repository,
    atMs,
    storedBytes,
  }: { readonly repository: string; readonly atMs: number; readonly storedBytes: number },
): Promise<void> {
  const row = await catalogue.db
    .selectFrom('snapshot')
    .select((eb) => [eb.fn.sum<number | null>('bytes').as('restoredBytes'), eb.fn.countAll<number>().as('snapshots')])
    .where('repository', '=', repository)
    .executeTakeFirstOrThrow();
  const restored = row.restoredBytes === null ? {} : { restoredBytes: Number(row.restoredBytes) };
  await recordSize(catalogue, { repository, atMs, storedBytes, ...restored, snapshots: Number(row.snapshots) });
}
