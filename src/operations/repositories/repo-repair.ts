/** Repairing repositories: the index, the packs (with what other repositories still have), the snapshots. */
import { z } from 'zod';
import { messageOf } from '../../base/errors.ts';
import { sourceOf } from '../../model/snapshot.ts';
import {
  type Donor,
  findSnapshot,
  listSnapshots,
  rebuildIndex,
  repairPacks,
  repairSnapshots,
} from '../../repository/index.ts';
import { type Execution, operation, type RepositoryAccess } from '../operation.ts';
import { openNamed } from './repository-access.ts';

type Uses = RepositoryAccess & Execution;

/** How long to wait while somebody else has the repository to themselves. */
const lockWaitMs = 60_000;

const fault = z.object({ kind: z.string(), subject: z.string(), message: z.string(), remedy: z.string() });
const affected = z.object({
  snapshot: z.string(),
  time: z.string(),
  source: z.string().optional(),
  paths: z.array(z.string()),
  more: z.boolean(),
});
const base = z.object({ repository: z.string(), dryRun: z.boolean().default(false) });

const indexOutput = z.object({
  repository: z.string(),
  dryRun: z.boolean(),
  packs: z.number(),
  blobs: z.number(),
  /** Blobs the index led to before. */
  blobsBefore: z.number(),
  found: z.array(fault),
  unreadable: z.array(fault),
});
export type IndexRepair = z.infer<typeof indexOutput>;

/** Writes the index anew from the packs' own headers. */
export const repoRepairIndex = operation({
  name: 'repo repair index',
  permission: 'admin',
  input: base,
  output: indexOutput,
  run: async ({ repository: name, dryRun }: z.infer<typeof base>, uses: Uses): Promise<IndexRepair> => {
    await using opened = await openNamed(name, { ...uses, uncached: true });
    const result = await rebuildIndex(opened.repository, { dryRun, lockWaitMs }, uses.report, uses.signal);
    const { packs, blobs, blobsBefore } = result;
    const faults = { found: copies(result.found), unreadable: copies(result.unreadable) };
    return { repository: name, dryRun, packs, blobs, blobsBefore, ...faults };
  },
});

const packsInput = base.extend({
  /** Ids of packs to read; all by default. */
  packs: z.array(z.string()).optional(),
  /** Read no pack but those that show damage without being read. */
  quick: z.boolean().default(false),
  /** Repositories that may have what is lost; by default those that policies give the same sources to. */
  from: z.array(z.string()).optional(),
  /** Look in no other repository. */
  alone: z.boolean().default(false),
});
const packsOutput = z.object({
  repository: z.string(),
  dryRun: z.boolean(),
  packsRead: z.number(),
  bytesRead: z.number(),
  damaged: z.array(
    z.object({ id: z.string(), faults: z.array(z.string()), readable: z.number(), unreadable: z.number() }),
  ),
  savedBlobs: z.number(),
  savedBytes: z.number(),
  healed: z.array(z.object({ from: z.string(), blobs: z.number(), bytes: z.number() })),
  /** Repositories that were asked, and those that could not be opened, with the reason. */
  asked: z.array(z.string()),
  notAsked: z.array(z.object({ repository: z.string(), message: z.string() })),
  missingBlobs: z.number(),
  missing: z.array(z.string()),
  affected: z.array(affected),
  unreadableSnapshots: z.array(fault),
  indexFaults: z.array(fault),
});
export type PackRepair = z.infer<typeof packsOutput>;

/** Saves what opens in damaged packs, and fetches what is lost from other repositories. */
export const repoRepairPacks = operation({
  name: 'repo repair packs',
  permission: 'admin',
  input: packsInput,
  output: packsOutput,
  run: async (request: z.infer<typeof packsInput>, uses: Uses): Promise<PackRepair> => {
    const { repository: name, dryRun } = request;
    await using opened = await openNamed(name, { ...uses, uncached: true });
    await using donors = await openDonors(request, uses);
    const packs: readonly string[] | 'all' = request.packs ?? (request.quick ? [] : 'all');
    const options = { packs, donors: donors.opened, dryRun, lockWaitMs };
    const result = await repairPacks(opened.repository, options, uses.report, uses.signal);
    const { packsRead, bytesRead, savedBlobs, savedBytes, missingBlobs } = result;
    return {
      ...{ repository: name, dryRun, packsRead, bytesRead, savedBlobs, savedBytes, missingBlobs },
      damaged: result.damaged.map((one) => ({ ...one, faults: [...one.faults] })),
      healed: result.healed.map((one) => ({ ...one })),
      asked: donors.opened.map((donor) => donor.name),
      notAsked: donors.failed,
      missing: [...result.missing],
      affected: result.affected.map(({ snapshot, paths, more }) => {
        return { snapshot: snapshot.id, time: snapshot.time, source: sourceOf(snapshot), paths: [...paths], more };
      }),
      unreadableSnapshots: copies(result.unreadableSnapshots),
      indexFaults: copies(result.indexFaults),
    };
  },
});

interface OpenDonors extends AsyncDisposable {
  readonly opened: Donor[];
  readonly failed: PackRepair['notAsked'];
}

/** One that cannot be opened keeps the others from nothing, unless it was asked for by name. */
async function openDonors(request: z.infer<typeof packsInput>, uses: Uses): Promise<OpenDonors> {
  await using open = new AsyncDisposableStack();
  const opened: Donor[] = [];
  const failed: PackRepair['notAsked'] = [];
  for (const name of request.alone ? [] : (request.from ?? siblingsOf(request.repository, uses))) {
    try {
      opened.push(open.use(await openNamed(name, uses)));
    } catch (error) {
      if (request.from || uses.signal.aborted) throw error;
      failed.push({ repository: name, message: messageOf(error) });
    }
  }
  const kept = open.move();
  return { opened, failed, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** The other repositories of every source that is stored in this one. */
export function siblingsOf(repository: string, { config }: Pick<RepositoryAccess, 'config'>): string[] {
  const names = new Set<string>();
  for (const { placements } of config.sources.values()) {
    const places = placements.map((placement) => placement.repository);
    if (places.includes(repository)) for (const place of places) names.add(place);
  }
  names.delete(repository);
  return [...names];
}

const snapshotsInput = base.extend({
  /** As on the command line; all by default. */
  snapshots: z.array(z.string()).default([]),
  forget: z.boolean().default(false),
});
const loss = z.object({
  path: z.string(),
  kind: z.enum(['file', 'part', 'directory']),
  bytes: z.number().optional(),
  now: z.string().optional(),
  zeros: z.boolean().optional(),
});
const snapshotsOutput = z.object({
  repository: z.string(),
  dryRun: z.boolean(),
  checked: z.number(),
  snapshots: z.array(
    z.object({
      snapshot: z.string(),
      time: z.string(),
      source: z.string().optional(),
      outcome: z.enum(['repaired', 'repaired-before', 'nothing-left']),
      repaired: z.string().optional(),
      losses: z.array(loss),
      moreLosses: z.number(),
      forgotten: z.boolean(),
    }),
  ),
  unreadable: z.array(fault),
});
export type SnapshotRepair = z.infer<typeof snapshotsOutput>;

/** Makes new snapshots of all that can be read of those that need something lost. */
export const repoRepairSnapshots = operation({
  name: 'repo repair snapshots',
  permission: 'admin',
  input: snapshotsInput,
  output: snapshotsOutput,
  run: async (request: z.infer<typeof snapshotsInput>, uses: Uses): Promise<SnapshotRepair> => {
    const { repository: name, dryRun, forget } = request;
    await using opened = await openNamed(name, { ...uses, uncached: true });
    const { repository } = opened;
    const known = request.snapshots.length > 0 ? await listSnapshots(repository, uses.signal) : [];
    const chosen = request.snapshots.map((wanted) => findSnapshot(known, wanted).id);
    const options = { snapshots: chosen.length > 0 ? chosen : undefined, forget, dryRun, lockWaitMs };
    const result = await repairSnapshots(repository, options, uses.report, uses.signal);
    return {
      ...{ repository: name, dryRun, checked: result.checked },
      snapshots: result.snapshots.map(({ snapshot, losses, ...rest }) => ({
        ...{ snapshot: snapshot.id, time: snapshot.time, source: sourceOf(snapshot) },
        ...rest,
        losses: losses.map((one) => ({ ...one })),
      })),
      unreadable: copies(result.unreadable),
    };
  },
});

function copies(faults: readonly z.infer<typeof fault>[]): z.infer<typeof fault>[] {
  return faults.map(({ kind, subject, message, remedy }) => ({ kind, subject, message, remedy }));
}
