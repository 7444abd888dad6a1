/** Make a repository, and look after it. */
import { z } from 'zod';
import { isState, sourceOf } from '../../model/snapshot.ts';
import {
  checkRepository,
  listKeys,
  listLocks,
  listSnapshots,
  prune as pruneRepository,
  removeLocks,
  repositoryStats,
} from '../../repository/index.ts';
import { redactUrl } from '../../storage/open.ts';
import { parseByteCount } from '../byte-count.ts';
import { type Execution, operation, type RepositoryAccess } from '../operation.ts';
import { dueReading, recordReading, turnView } from './reading-turn.ts';
import { heldView, holdAnew } from './repo-hold.ts';
import { initNamed, openNamed } from './repository-access.ts';
import { rememberCheck } from './repository-record.ts';

type Uses = RepositoryAccess & Execution;

const named = z.object({ repository: z.string() });
/** How long to wait while somebody else has the repository to themselves. */
const lockWaitMs = 60_000;

const initInput = named.extend({
  /** Cut files in the same places as this repository does. */
  like: z.string().optional(),
});
const initOutput = z.object({ repository: z.string(), id: z.string(), location: z.string() });

export const repoInit = operation({
  name: 'repo init',
  permission: 'admin',
  input: initInput,
  output: initOutput,
  run: async ({ repository: name, like }: z.infer<typeof initInput>, uses: Uses) => {
    await using opened = await initNamed(name, uses, like);
    const { config, storage } = opened.repository;
    return { repository: name, id: config.id, location: storage.location };
  },
});

const checkInput = named.extend({
  readData: z.boolean().default(false),
  /** `1/7`, `10%`, `5GiB`: read that much of the data. */
  subset: z.string().optional(),
  /** Read what is due by the repository's «check: readAllWithin». */
  due: z.boolean().optional(),
});
const fault = z.object({ kind: z.string(), subject: z.string(), message: z.string(), remedy: z.string() });
const checkOutput = z.object({
  repository: z.string(),
  ok: z.boolean(),
  errors: z.array(fault),
  moreErrors: z.number(),
  warnings: z.array(fault),
  moreWarnings: z.number(),
  affected: z.array(
    z.object({
      snapshot: z.string(),
      time: z.string(),
      source: z.string().optional(),
      paths: z.array(z.string()),
      more: z.boolean(),
    }),
  ),
  counts: z.record(z.string(), z.number()),
  /** The reading of all data in turn; absent if nothing was read of it. */
  turn: turnView.optional(),
  durationMs: z.number(),
});
export type CheckOutput = z.infer<typeof checkOutput>;

export const repoCheck = operation({
  name: 'repo check',
  permission: 'operator',
  input: checkInput,
  output: checkOutput,
  run: async (request: z.infer<typeof checkInput>, uses: Uses): Promise<CheckOutput> => {
    const startedMs = uses.clock.monotonicMs();
    await using opened = await openNamed(request.repository, { ...uses, uncached: true });
    const due = request.due ? await dueReading(opened, uses) : undefined;
    const given = request.subset === undefined ? undefined : (parseByteCount(request.subset) ?? request.subset);
    const subset = given ?? (request.readData ? undefined : due?.subset);
    const readData = subset === undefined ? request.readData : { subset };
    const result = await checkRepository(opened.repository, { readData }, uses.report, uses.signal);
    const turn = await recordReading(opened, result, { ...uses, due });
    await rememberCheck(request.repository, result, uses);
    return {
      repository: request.repository,
      ok: result.errors.length === 0,
      errors: result.errors.map((one) => ({ ...one })),
      moreErrors: result.moreErrors,
      warnings: result.warnings.map((one) => ({ ...one })),
      moreWarnings: result.moreWarnings,
      affected: result.affected.map(({ snapshot, paths, more }) => ({
        snapshot: snapshot.id,
        time: snapshot.time,
        source: sourceOf(snapshot),
        paths: [...paths],
        more,
      })),
      counts: { ...result.counts },
      turn,
      durationMs: Math.round(uses.clock.monotonicMs() - startedMs),
    };
  },
});

const pruneInput = named.extend({
  dryRun: z.boolean().default(false),
  /** Share of the remaining bytes that may stay unused, 0–1. */
  maxUnused: z.number().min(0).max(1).optional(),
  maxRepackBytes: z.number().min(0).optional(),
  /** Begin no more after this time; the next prune goes on. */
  maxTimeMs: z.number().min(0).optional(),
});
const pruneOutput = z.object({
  repository: z.string(),
  dryRun: z.boolean(),
  packsBefore: z.number(),
  bytesBefore: z.number(),
  packsRemoved: z.number(),
  packsRepacked: z.number(),
  repackedBytes: z.number(),
  /** Packs that were left because the time was up. */
  packsLeft: z.number(),
  freedBytes: z.number(),
  remainingUnusedBytes: z.number(),
  usedBlobs: z.number(),
  unusedBlobs: z.number(),
  /** Where the storage holds objects: what was held anew, and freed for good. */
  held: heldView.optional(),
});
export type PruneOutput = z.infer<typeof pruneOutput>;

export const repoPrune = operation({
  name: 'repo prune',
  permission: 'admin',
  input: pruneInput,
  output: pruneOutput,
  run: async (request: z.infer<typeof pruneInput>, uses: Uses): Promise<PruneOutput> => {
    await using opened = await openNamed(request.repository, uses);
    const options = { ...request, lockWaitMs };
    const result = await pruneRepository(opened.repository, options, uses.report, uses.signal);
    const held = await holdAnew(opened.repository, request, uses);
    return { repository: request.repository, ...result, ...(held ? { held } : {}) };
  },
});

const statsOutput = z.object({
  repository: z.string(),
  storedBytes: z.number(),
  stored: z.record(z.string(), z.object({ files: z.number(), bytes: z.number() })),
  blobs: z.object({ data: z.number(), tree: z.number() }),
  plainBytes: z.number(),
  sealedBytes: z.number(),
  unusedBytes: z.number(),
  restoreBytes: z.number(),
  deduplication: z.number(),
  compression: z.number(),
  snapshots: z.array(
    z.object({
      id: z.string(),
      time: z.string(),
      source: z.string().optional(),
      restoreBytes: z.number(),
      addedBytes: z.number(),
    }),
  ),
});
export type StatsOutput = z.infer<typeof statsOutput>;

export const repoStats = operation({
  name: 'repo stats',
  permission: 'viewer',
  input: named,
  output: statsOutput,
  run: async ({ repository: name }: z.infer<typeof named>, uses: Uses): Promise<StatsOutput> => {
    await using opened = await openNamed(name, uses);
    const stats = await repositoryStats(opened.repository, uses.report, uses.signal);
    return {
      repository: name,
      storedBytes: stats.storedBytes,
      stored: { ...stats.stored },
      blobs: stats.blobs,
      plainBytes: stats.plainBytes,
      sealedBytes: stats.sealedBytes,
      unusedBytes: stats.unusedBytes,
      restoreBytes: stats.restoreBytes,
      deduplication: stats.deduplication,
      compression: stats.compression,
      snapshots: stats.snapshots.map(({ snapshot, restoreBytes, addedBytes }) => ({
        id: snapshot.id,
        time: snapshot.time,
        source: sourceOf(snapshot),
        restoreBytes,
        addedBytes,
      })),
    };
  },
});

const unlockInput = named.extend({ all: z.boolean().default(false) });
const unlockOutput = z.object({ repository: z.string(), removed: z.number(), left: z.number() });

export const repoUnlock = operation({
  name: 'repo unlock',
  permission: 'operator',
  input: unlockInput,
  output: unlockOutput,
  run: async ({ repository: name, all }: z.infer<typeof unlockInput>, uses: Uses) => {
    await using opened = await openNamed(name, uses);
    const removed = await removeLocks(opened.repository, { all });
    return { repository: name, removed, left: (await listLocks(opened.repository)).length };
  },
});

const listInput = z.object({ repository: z.string().optional() });
const listOutput = z.object({
  repositories: z.array(
    z.object({
      name: z.string(),
      url: z.string(),
      password: z.string(),
      /** Only for one that was named: it has to be opened for these. */
      id: z.string().optional(),
      version: z.number().optional(),
      keys: z.number().optional(),
      locks: z
        .array(
          z.object({
            pid: z.number(),
            hostname: z.string(),
            username: z.string(),
            exclusive: z.boolean(),
            stale: z.boolean(),
          }),
        )
        .optional(),
      snapshots: z.number().optional(),
    }),
  ),
});
export type RepositoryList = z.infer<typeof listOutput>;

export const repoList = operation({
  name: 'repo list',
  permission: 'viewer',
  input: listInput,
  output: listOutput,
  run: async ({ repository: name }: z.infer<typeof listInput>, uses: Uses): Promise<RepositoryList> => {
    if (name === undefined) {
      const all = [...uses.config.repositories.values()];
      return {
        repositories: all.map((one) => ({ name: one.name, url: redactUrl(one.url), password: one.password.from })),
      };
    }
    await using opened = await openNamed(name, uses);
    const { repository, entry } = opened;
    const locks = await listLocks(repository);
    return {
      repositories: [
        {
          name,
          url: redactUrl(entry.url),
          password: entry.password.from,
          id: repository.config.id,
          version: repository.config.version,
          keys: (await listKeys(repository)).length,
          locks: locks.map(({ pid, hostname, username, exclusive, stale }) => ({
            pid,
            hostname,
            username,
            exclusive,
            stale,
          })),
          snapshots: (await listSnapshots(repository, uses.signal)).filter((one) => !isState(one)).length,
        },
      ],
    };
  },
});
