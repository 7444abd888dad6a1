/** The last step of a put: a complete, flushed file gets its name. */
import { link, lstat, unlink } from 'node:fs/promises';
import { HoldfastError, systemCode } from '../../base/errors.ts';
import { exclusiveRename } from './exclusive-rename.ts';
import { isUnsupported } from './io-errors.ts';

export type Published = 'published' | 'exists';

/**
 * Gives the file at `temporary` the name `final` unless something has it; the kernel decides, so of any number of writers,
 * in any number of processes, one wins. The temporary name is gone afterwards only when it answers `published`.
 * Hard links do it everywhere but on FAT, exFAT and some network file systems; there an exclusive rename does.
 */
export async function publishNew(temporary: string, final: string, hardLink: typeof link = link): Promise<Published> {
  try {
    await hardLink(temporary, final);
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return linkedAlready(temporary, final);
    if (!hasNoHardLinks(error)) throw error;
    return renameNew(temporary, final, error);
  }
  await unlink(temporary);
  return 'published';
}

/** NFS repeats a request whose answer was lost, and the repetition says EEXIST: then the name is ours. */
async function linkedAlready(temporary: string, final: string): Promise<Published> {
  const [ours, theirs] = await Promise.all([lstat(temporary, { bigint: true }), lstat(final, { bigint: true })]);
  if (ours.nlink < 2n || ours.ino !== theirs.ino || ours.dev !== theirs.dev) return 'exists';
  await unlink(temporary);
  return 'published';
}

/** Linux answers EPERM where the file system has no hard links; EMLINK and EXDEV come from quota realms and overlays. */
function hasNoHardLinks(error: unknown): boolean {
  return isUnsupported(error) || ['EPERM', 'EMLINK', 'EXDEV'].includes(systemCode(error) ?? '');
}

async function renameNew(temporary: string, final: string, cause: unknown): Promise<Published> {
  const rename = await exclusiveRename();
  const outcome = rename ? rename(temporary, final) : 'unsupported';
  if (outcome !== 'unsupported') return outcome;
  throw new HoldfastError({
    code: 'storage.io',
    message: `the file system of ${final} has neither hard links nor an exclusive rename`,
    remedy:
      'Put the repository on a file system that has hard links (ext4, xfs, btrfs, zfs, NFS), or install the optional package koffi, which gives Holdfast the exclusive rename of Linux (enough for exFAT and CIFS).',
    cause,
  });
}
