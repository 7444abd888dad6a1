/** Files that mark their directory as not worth a backup. */
import type { HostFiles } from '../../hosts/host.ts';
import type { NodeAttributes } from '../../model/node.ts';
import type { FilesSettings } from './settings.ts';
import { joinPath } from './source-paths.ts';

export interface Marker {
  readonly name: string;
  /** What the file starts with; empty if its presence is enough. */
  readonly start: string;
}

/** From the Cache Directory Tagging Specification, https://bford.info/cachedir/ */
const cacheDirectory: Marker = { name: 'CACHEDIR.TAG', start: 'Signature: 8a477f597d28d172789f06886806bc55' };

export function markersOf(settings: FilesSettings): Marker[] {
  const own = settings.excludeIfPresent.map((text): Marker => {
    const colon = text.indexOf(':');
    return colon < 0 ? { name: text, start: '' } : { name: text.slice(0, colon), start: text.slice(colon + 1) };
  });
  return settings.excludeCaches ? [...own, cacheDirectory] : own;
}

/** The marker a directory holds, if any. A marker that should start with a text and cannot be read marks nothing, and is told. */
export async function findMarker(
  files: HostFiles,
  directory: string,
  entries: readonly NodeAttributes[],
  markers: readonly Marker[],
  unreadable: (path: string, error: unknown) => void,
): Promise<string | undefined> {
  for (const { name, start } of markers) {
    const entry = entries.find((one) => one.name === name);
    if (!entry) continue;
    if (start === '') return name;
    if (entry.type !== 'file') continue;
    try {
      if (await startsWith(files, joinPath(directory, name), Buffer.from(start))) return name;
    } catch (error) {
      unreadable(joinPath(directory, name), error);
    }
  }
  return undefined;
}

async function startsWith(files: HostFiles, path: string, start: Buffer): Promise<boolean> {
  const reader = await files.open(path);
  try {
    const found = Buffer.alloc(start.length);
    let length = 0;
    while (length < found.length) {
      const count = await reader.read(found.subarray(length));
      if (count === 0) break;
      length += count;
    }
    return found.equals(start);
  } finally {
    await reader.close();
  }
}
