/** Where a path lies below the directory of a restore. */
import { HoldfastError } from '../base/errors.ts';
import { printableName } from '../base/names.ts';

/** The names on the way from `root` down to `path`, none for `root` itself; anything that could lead elsewhere is refused. */
export function namesBelow(root: string, path: string): string[] {
  const below = root === '/' ? path : path.slice(root.length);
  const names = below === '' || below === '/' ? [] : below.slice(1).split('/');
  const isBelow = path.startsWith(root) && (names.length === 0 || below.startsWith('/'));
  if (isBelow && names.every(isPlain)) return names;
  throw new HoldfastError({
    code: 'restore.target-invalid',
    message: `${printableName(path)} does not lie in the restore's directory ${printableName(root)}`,
    remedy: 'The snapshot holds a name no file system allows: check the repository, and exclude that entry.',
  });
}

function isPlain(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('\0');
}
