/**
 * When which part of the data was last read and found sound: kept in the repository, so that whoever checks it goes on
 * where the last one stopped. One small object holds it all; a newer one is written before the older ones go, and several
 * are taken together, so that nothing is lost by a crash or by two writers. See docs/format.
 */
import { z } from 'zod';
import { utf8, view } from '../../base/bytes.ts';
import { HoldfastError, hasCode } from '../../base/errors.ts';
import { unpackedName } from '../layout.ts';
import type { Repository } from '../repository.ts';
import { deleteUnpacked, listUnpacked, loadUnpacked, saveUnpacked } from '../sealing/unpacked.ts';

const groups = 256;

const schema = z.object({
  format: z.literal(1),
  sinceMs: z.number(),
  /** By the first byte of the packs' ids. */
  readAtMs: z.array(z.number().nullable()).length(groups),
});

export interface Readings {
  /** When reading in turn began; absent if nothing was recorded yet. */
  readonly sinceMs: number | undefined;
  readonly readAtMs: ReadonlyMap<number, number>;
}

/** What is recorded. A record that cannot be read counts as none: its groups are read again. */
export async function loadReadings(repository: Repository, signal?: AbortSignal): Promise<Readings> {
  const { readings } = await loadAll(repository, signal);
  return readings;
}

/** Records that the packs of these groups (0–255) were all read at `atMs` and found sound. */
export async function saveReadings(
  repository: Repository,
  read: { readonly groups: Iterable<number>; readonly atMs: number },
  signal?: AbortSignal,
): Promise<void> {
  const { readings, ids } = await loadAll(repository, signal);
  const readAtMs: (number | null)[] = Array.from(
    { length: groups },
    (_, group) => readings.readAtMs.get(group) ?? null,
  );
  for (const group of read.groups) readAtMs[group] = Math.max(readAtMs[group] ?? 0, read.atMs);
  const record = { format: 1, sinceMs: readings.sinceMs ?? read.atMs, readAtMs };
  const id = await saveUnpacked(repository, 'readings', utf8(JSON.stringify(record)));
  for (const old of ids) if (old !== id) await deleteOld(repository, old);
}

/** Where nothing may be deleted, the old ones stay: they say nothing that the new one does not. */
async function deleteOld(repository: Repository, id: string): Promise<void> {
  try {
    await deleteUnpacked(repository, 'readings', id);
  } catch (error) {
    if (!hasCode(error, 'storage.denied')) throw error;
  }
}

async function loadAll(
  repository: Repository,
  signal: AbortSignal | undefined,
): Promise<{ readings: Readings; ids: string[] }> {
  const ids: string[] = [];
  const readAtMs = new Map<number, number>();
  let sinceMs: number | undefined;
  for await (const { id } of listUnpacked(repository, 'readings', signal)) {
    ids.push(id);
    const record = await load(repository, id, signal);
    if (!record) continue;
    sinceMs = Math.min(sinceMs ?? record.sinceMs, record.sinceMs);
    for (const [group, atMs] of record.readAtMs.entries()) {
      if (atMs !== null) readAtMs.set(group, Math.max(readAtMs.get(group) ?? 0, atMs));
    }
  }
  return { readings: { sinceMs, readAtMs }, ids };
}

async function load(
  repository: Repository,
  id: string,
  signal: AbortSignal | undefined,
): Promise<z.infer<typeof schema> | undefined> {
  try {
    return decode(id, await loadUnpacked(repository, 'readings', id, signal));
  } catch (error) {
    if (!hasCode(error, 'storage.not-found', 'repository.damaged')) throw error;
    return undefined;
  }
}

function decode(id: string, bytes: Uint8Array): z.infer<typeof schema> {
  try {
    return schema.parse(JSON.parse(view(bytes).toString('utf8')));
  } catch (cause) {
    throw new HoldfastError({
      code: 'repository.damaged',
      message: `${unpackedName('readings', id)} is no record of what was read`,
      remedy: 'It is passed over: what it stood for is read again.',
      cause,
    });
  }
}
