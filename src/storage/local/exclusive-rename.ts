/**
 * renameat2(2) with RENAME_NOREPLACE: a rename that fails if the target exists. Node has no such call; koffi, an optional
 * dependency, lends it on Linux. Needed only where the file system has no hard links.
 */
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';

export type ExclusiveRename = (from: string, to: string) => 'published' | 'exists' | 'unsupported';

const currentFolder = -100; // AT_FDCWD
const noReplace = 1; // RENAME_NOREPLACE

let found: Promise<ExclusiveRename | undefined> | undefined;

/** `undefined` where the system or koffi does not offer it. Throws errno errors like node:fs. */
export function exclusiveRename(): Promise<ExclusiveRename | undefined> {
  found ??= load();
  return found;
}

async function load(): Promise<ExclusiveRename | undefined> {
  try {
    const { default: koffi } = await import('koffi');
    const call = koffi
      .load(null)
      .func('int renameat2(int oldFolder, const char *from, int newFolder, const char *to, unsigned int flags)');
    return (from, to) => {
      if (call(currentFolder, from, currentFolder, to, noReplace) === 0) return 'published';
      return outcomeOf(koffi.errno());
    };
  } catch {
    // Not Linux, a libc without the call, or koffi not installed: all mean that it cannot be had.
    return undefined;
  }
}

function outcomeOf(errno: number): 'exists' | 'unsupported' {
  if (errno === constants.errno.EEXIST) return 'exists';
  if ([constants.errno.EINVAL, constants.errno.ENOSYS, constants.errno.ENOTSUP].includes(errno)) return 'unsupported';
  const [code, text] = getSystemErrorMap().get(-errno) ?? ['EIO', 'unknown error'];
  throw Object.assign(new Error(`${code}: ${text}, renameat2`), { code, errno: -errno });
}
