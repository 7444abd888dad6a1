/** The paths of a source as one tree: which of them are wanted, and which directories lead there. */
import { HoldfastError, hasCode } from '../../base/errors.ts';
import { printableName } from '../../base/names.ts';
import { compilePatterns } from '../../base/patterns.ts';
import type { HostFiles } from '../../hosts/host.ts';
import type { NodeAttributes } from '../../model/node.ts';
import { type FilesSettings, normalPaths } from './settings.ts';

export interface SourcePaths {
  /** Paths whose whole content is wanted. */
  readonly wanted: ReadonlySet<string>;
  /** For each directory above a wanted path: the names in it that lead there. */
  readonly leads: ReadonlyMap<string, ReadonlySet<string>>;
  /** Paths of the settings that do not exist, where that is allowed. */
  readonly missing: readonly string[];
}

/** `source.missing` if a path is missing that must not, `config.invalid` if a path is excluded by its own patterns. */
export async function findSourcePaths(files: HostFiles, settings: FilesSettings): Promise<SourcePaths> {
  const excludes = compilePatterns(settings.exclude);
  const wanted = new Set<string>();
  const missing: string[] = [];
  for (const path of normalPaths(settings)) {
    const found = await attributesOrMissing(files, path);
    if (!found) missing.push(path);
    else if (excludes.matches(path, found.type === 'dir')) throw excludedPath(path);
    else wanted.add(path);
  }
  if (missing.length > 0 && (wanted.size === 0 || !settings.allowMissing))
    throw missingPaths(missing, wanted.size === 0);
  return { wanted, leads: leadsTo(wanted), missing };
}

export function joinPath(directory: string, name: string): string {
  return directory === '/' ? `/${name}` : `${directory}/${name}`;
}

/** Symbolic links among the directories above a path are followed, as restic does: the snapshot has a directory there. */
export async function attributesOfTarget(files: HostFiles, path: string): Promise<NodeAttributes> {
  let at = path;
  for (let links = 0; links < 40; links++) {
    const found = await files.attributes(at);
    if (found.type !== 'symlink') return { ...found, name: path.slice(path.lastIndexOf('/') + 1) };
    const target = found.linkTarget!;
    at = target.startsWith('/') ? target : joinPath(at.slice(0, at.lastIndexOf('/')) || '/', target);
  }
  throw new HoldfastError({
    code: 'source.unreadable',
    message: `${printableName(path)} is a symbolic link that leads to itself`,
    remedy: 'Correct the link, or name the directory itself in the paths.',
  });
}

function leadsTo(wanted: ReadonlySet<string>): Map<string, Set<string>> {
  const leads = new Map<string, Set<string>>();
  for (const path of wanted) {
    let directory = '/';
    for (const name of path.split('/').filter((part) => part !== '')) {
      const names = leads.get(directory) ?? new Set();
      leads.set(directory, names.add(name));
      directory = joinPath(directory, name);
    }
  }
  return leads;
}

async function attributesOrMissing(files: HostFiles, path: string): Promise<NodeAttributes | undefined> {
  try {
    return await files.attributes(path);
  } catch (error) {
    if (hasCode(error, 'source.missing')) return undefined;
    throw error;
  }
}

function missingPaths(missing: readonly string[], all: boolean): HoldfastError {
  const list = missing.map(printableName).join(', ');
  return new HoldfastError({
    code: 'source.missing',
    message: missing.length === 1 ? `${list} does not exist` : `these paths do not exist: ${list}`,
    remedy: all
      ? 'Check the paths of the source; if they are on a file system of their own, check that it is mounted.'
      : 'Check the paths of the source, or set allowMissing to back up the others.',
  });
}

function excludedPath(path: string): HoldfastError {
  return new HoldfastError({
    code: 'config.invalid',
    message: `the path ${printableName(path)} is excluded by the source's own patterns`,
    remedy: 'Take the path out of the source, or change its exclude patterns.',
  });
}
