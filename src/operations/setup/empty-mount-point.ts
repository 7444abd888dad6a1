/** Keeps a new repository from being made where one that may be away only happens not to be mounted. */
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { formatInstant } from '../../base/clock.ts';
import { HoldfastError, systemCode } from '../../base/errors.ts';
import type { RepositoryEntry } from '../../config/index.ts';
import type { Execution, RepositoryAccess } from '../operation.ts';
import { readRecord } from '../repositories/repository-record.ts';

type Uses = RepositoryAccess & Pick<Execution, 'report'>;

/** `storage.not-found` for a repository that was there before, or whose directory is on the system's own disk. */
export async function refuseEmptyMountPoint(entry: RepositoryEntry, uses: Uses): Promise<void> {
  if (entry.mayBeAwayMs === undefined) return;
  const seen = (await readRecord(entry.name, uses))?.seen;
  if (seen) {
    const when = formatInstant(seen.atMs).slice(0, 16).replace('T', ' ');
    throw refusal(entry, `was there until ${when}Z (id ${seen.id.slice(0, 8)}), so it is away now`);
  }
  const path = localPath(entry.url);
  if (path !== undefined && (await isOnSystemDisk(path))) {
    throw refusal(entry, `may be away, and ${path} is on the system's own disk: nothing is mounted there`);
  }
}

function localPath(url: string): string | undefined {
  if (url.startsWith('/')) return url;
  return url.startsWith('file://') ? fileURLToPath(url) : undefined;
}

async function isOnSystemDisk(path: string): Promise<boolean> {
  const root = await stat('/');
  for (let at = path; ; at = dirname(at)) {
    try {
      return (await stat(at)).dev === root.dev;
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
    }
  }
}

function refusal({ name }: RepositoryEntry, why: string): HoldfastError {
  return new HoldfastError({
    code: 'storage.not-found',
    message: `no new repository was made: ${name} ${why}`,
    remedy:
      'Connect and mount it. To make a new one all the same, on a new disk or in this very place, take «mayBeAway:» out of its entry until that is done.',
  });
}
