/**
 * The source as a tree. It has the full path of everything, from the root of the file system on, as restic's snapshots do:
 * directories above a source path are there with their attributes and nothing else in them. Directories are listed when
 * the engine gets to them; nothing holds the file system still, so each file is what it was when it was read.
 */
import { throwIfCancelled } from '../../base/errors.ts';
import { compareNames, printableName } from '../../base/names.ts';
import { compilePatterns, type PatternSet } from '../../base/patterns.ts';
import type { HostFiles } from '../../hosts/host.ts';
import type { NodeAttributes } from '../../model/node.ts';
import type { Capture, DirectoryEntry, Entry, FileEntry, SourceContext } from '../driver.ts';
import { findMarker, type Marker, markersOf } from './markers.ts';
import { type FilesSettings, normalPaths } from './settings.ts';
import { attributesOfTarget, findSourcePaths, joinPath, type SourcePaths } from './source-paths.ts';
import { Tally } from './tally.ts';

interface Walk {
  readonly files: HostFiles;
  readonly settings: FilesSettings;
  readonly paths: SourcePaths;
  readonly excludes: PatternSet;
  readonly markers: readonly Marker[];
  readonly tally: Tally;
  readonly signal: AbortSignal;
}

/** Where the walk is. `required`: named in the settings, so that the backup fails without it. */
interface Here {
  readonly path: string;
  readonly device: bigint;
  readonly required: boolean;
}

export async function captureFiles(source: SourceContext<FilesSettings>): Promise<Capture> {
  const { settings, host, signal } = source;
  const tally = new Tally(source.report);
  const paths = await findSourcePaths(host.files, settings);
  for (const path of paths.missing) tally.note(`${printableName(path)} does not exist and is not in this snapshot`);
  for (const limit of host.limits ?? []) tally.note(limit);
  const excludes = compilePatterns(settings.exclude);
  const walk: Walk = { files: host.files, settings, paths, excludes, markers: markersOf(settings), tally, signal };
  const top = await host.files.attributes('/');
  return {
    paths: normalPaths(settings),
    excludes: settings.exclude,
    root: paths.wanted.has('/')
      ? wholeDirectory(walk, top, { path: '/', device: top.deviceId, required: true })
      : leadingDirectory(walk, top, '/'),
    complete: async () => {},
    notes: () => tally.notes(),
    [Symbol.asyncDispose]: async () => {},
  };
}

/** A directory of which only what leads to a wanted path is taken; nothing, for the mount point of another file system. */
function leadingDirectory(walk: Walk, attributes: NodeAttributes, path: string): DirectoryEntry {
  return {
    kind: 'dir',
    attributes: stored(walk, attributes),
    async children() {
      const names = [...(walk.paths.leads.get(path) ?? [])].toSorted(compareNames);
      const entries: Entry[] = [];
      for (const name of names) {
        const child = joinPath(path, name);
        const entry = walk.paths.wanted.has(child)
          ? wantedEntry(walk, await walk.files.attributes(child), child)
          : leadingDirectory(walk, await attributesOfTarget(walk.files, child), child);
        if (entry) entries.push(entry);
      }
      return entries;
    },
  };
}

function wantedEntry(walk: Walk, attributes: NodeAttributes, path: string): Entry | undefined {
  return entryOf(walk, attributes, { path, device: attributes.deviceId, required: true });
}

function entryOf(walk: Walk, attributes: NodeAttributes, here: Here): Entry | undefined {
  switch (attributes.type) {
    case 'file':
      return fileEntry(walk, attributes, here);
    case 'dir':
      return wholeDirectory(walk, attributes, here);
    case 'socket':
      return undefined; // means nothing without the process that listens; restic leaves it out too
    case 'irregular':
      walk.tally.skipped(here.path, new Error(`${printableName(here.path)} is of a type that cannot be stored`));
      return undefined;
    default:
      return { kind: 'special', attributes: stored(walk, attributes) };
  }
}

function fileEntry(walk: Walk, attributes: NodeAttributes, { path, required }: Here): FileEntry {
  const { files } = walk;
  return {
    kind: 'file',
    attributes: stored(walk, attributes),
    layout: { cut: 'content' },
    trustAttributes: true,
    open: () => files.open(path),
    readWhole: files.readWhole && ((into) => files.readWhole!(path, into)),
    skip: required ? undefined : (error) => walk.tally.skipped(path, error),
  };
}

function wholeDirectory(walk: Walk, attributes: NodeAttributes, here: Here): DirectoryEntry {
  return {
    kind: 'dir',
    attributes: stored(walk, attributes),
    async children() {
      throwIfCancelled(walk.signal);
      const found = await listDirectory(walk, here);
      const marker = await findMarker(walk.files, here.path, found, walk.markers, (path, error) =>
        walk.tally.skipped(path, error),
      );
      const entries: Entry[] = [];
      for (const child of found) {
        const entry = childEntry(walk, child, here, marker);
        if (entry) entries.push(entry);
      }
      return entries;
    },
  };
}

/** In tree order. A directory that cannot be listed is told and stays empty, unless the settings name it. */
async function listDirectory(walk: Walk, { path, required }: Here): Promise<NodeAttributes[]> {
  try {
    const found = await walk.files.list(path, (below, error) => walk.tally.skipped(below, error));
    return found.sort((a, b) => compareNames(a.name, b.name));
  } catch (error) {
    if (required) throw error;
    walk.tally.skipped(path, error);
    return [];
  }
}

/** What becomes of one entry of a directory: a path of the settings is taken whatever else holds. */
function childEntry(walk: Walk, child: NodeAttributes, parent: Here, marker: string | undefined): Entry | undefined {
  const path = joinPath(parent.path, child.name);
  if (walk.paths.wanted.has(path)) return wantedEntry(walk, child, path);
  const isDirectory = child.type === 'dir';
  const marked = marker !== undefined && child.name !== marker;
  if (marked || walk.excludes.matches(path, isDirectory)) {
    return isDirectory && walk.paths.leads.has(path) ? leadingDirectory(walk, child, path) : undefined;
  }
  if (walk.settings.oneFileSystem && child.deviceId !== parent.device) {
    return isDirectory ? leadingDirectory(walk, child, path) : undefined;
  }
  return entryOf(walk, child, { path, device: parent.device, required: false });
}

/** Without access times, snapshots of the same state are the same; restic stores the modification time in their place. */
function stored(walk: Walk, attributes: NodeAttributes): NodeAttributes {
  return walk.settings.accessTimes ? attributes : { ...attributes, atimeNs: attributes.mtimeNs };
}
