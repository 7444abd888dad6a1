/** What a captured database looks like as entries of a snapshot: the file at its full path, and the facts folder. */
import { realpath } from 'node:fs/promises';
import { utf8 } from '../../base/bytes.ts';
import { compareNames, decodeName, systemPath } from '../../base/names.ts';
import type { FileReader, Host } from '../../hosts/host.ts';
import type { NodeAttributes } from '../../model/node.ts';
import { factsFolder } from '../../model/snapshot.ts';
import type { ContentLayout, DirectoryEntry, Entry, FileEntry } from '../driver.ts';

export interface Content {
  readonly layout: ContentLayout;
  /** Expected bytes; what `stream` gives decides. */
  readonly sizeBytes: number;
  readonly stream: () => { read(into: Uint8Array): Promise<number> };
}

/** The directories that lead to `path` (symlinks followed, named as asked for), and the file with the given content in the last. */
export async function entryAt(host: Host, path: string, content: Content): Promise<Entry> {
  const names = path.split('/').slice(1);
  let at = '';
  const attributes: NodeAttributes[] = [];
  for (const name of names) {
    at = `${at}/${name}`;
    attributes.push({ ...(await host.files.attributes(await resolved(at))), name });
  }
  const file: Entry = fileEntry({ ...attributes[attributes.length - 1], size: content.sizeBytes }, content);
  return attributes.slice(0, -1).reduceRight<Entry>((child, own) => directoryEntry(own, [child]), file);
}

async function resolved(path: string): Promise<string> {
  return decodeName(await realpath(systemPath(path), 'buffer'));
}

/** `.holdfast/` with files whose text is asked for when the engine gets to them. */
export function factsEntry(atMs: number, files: Readonly<Record<string, () => Promise<string>>>): DirectoryEntry {
  const own = syntheticAttributes(factsFolder, 'dir', atMs);
  return directoryEntry(
    own,
    Object.entries(files).map(([name, text]) => textEntry(syntheticAttributes(name, 'file', atMs), text)),
  );
}

export function rootEntry(children: Entry[], atMs: number): DirectoryEntry {
  return directoryEntry(syntheticAttributes('', 'dir', atMs), children);
}

function inTreeOrder(a: Entry, b: Entry): number {
  return compareNames(a.attributes.name, b.attributes.name);
}

function directoryEntry(attributes: NodeAttributes, children: Entry[]): DirectoryEntry {
  return { kind: 'dir', attributes, children: async () => children.toSorted(inTreeOrder) };
}

function fileEntry(attributes: NodeAttributes, content: Content): FileEntry {
  return {
    kind: 'file',
    attributes,
    layout: content.layout,
    trustAttributes: false,
    open: async () => ({
      ...readerOf(content.stream()),
      // The state does not change while it is held, whatever the file does.
      attributes: async () => attributes,
    }),
  };
}

function textEntry(attributes: NodeAttributes, text: () => Promise<string>): FileEntry {
  return {
    kind: 'file',
    attributes,
    layout: { cut: 'content' },
    trustAttributes: false,
    open: async () => {
      const bytes = utf8(await text());
      return { ...readerOf(bufferStream(bytes)), attributes: async () => ({ ...attributes, size: bytes.length }) };
    },
  };
}

function readerOf(stream: { read(into: Uint8Array): Promise<number> }): Pick<FileReader, 'read' | 'close'> {
  return { read: (into) => stream.read(into), close: async () => {} };
}

function bufferStream(bytes: Uint8Array): { read(into: Uint8Array): Promise<number> } {
  let at = 0;
  return {
    read: async (into) => {
      const part = bytes.subarray(at, at + into.byteLength);
      into.set(part);
      at += part.length;
      return part.length;
    },
  };
}

function syntheticAttributes(name: string, type: 'file' | 'dir', atMs: number): NodeAttributes {
  const timeNs = BigInt(Math.floor(atMs)) * 1_000_000n;
  return {
    name,
    type,
    mode: type === 'dir' ? 0o755 : 0o644,
    mtimeNs: timeNs,
    atimeNs: timeNs,
    ctimeNs: timeNs,
    uid: 0,
    gid: 0,
    inode: 0n,
    deviceId: 0n,
    size: 0,
    links: 1,
  };
}
