/** Entries of a capture that are made rather than found: streams of dumps, texts, and the directories around them. */
import { utf8 } from '../base/bytes.ts';
import { copyBytes } from '../base/copy-bytes.ts';
import type { FileReader } from '../hosts/host.ts';
import type { NodeAttributes } from '../model/node.ts';
import { factsFolder } from '../model/snapshot.ts';
import type { ContentLayout, DirectoryEntry, Entry, FileEntry } from './driver.ts';

/** What a made file's bytes come from. `close` is called once, whether or not it was read to its end. */
export interface ByteStream {
  read(into: Uint8Array): Promise<number>;
  close?(): Promise<void>;
}

/** The root of a snapshot; its children are opened in the order given. */
export function rootEntry(children: readonly Entry[], atMs: number): DirectoryEntry {
  return madeDirectory('', children, atMs);
}

export function madeDirectory(name: string, children: readonly Entry[], atMs: number): DirectoryEntry {
  return directoryEntry(madeAttributes(name, 'dir', atMs), children);
}

export function directoryEntry(attributes: NodeAttributes, children: readonly Entry[]): DirectoryEntry {
  return { kind: 'dir', attributes, children: async () => [...children] };
}

/** `.holdfast/` with files whose text is asked for when the engine gets to them. Put it last: it is opened while what is before it is still being read. */
export function factsEntry(atMs: number, files: Readonly<Record<string, () => Promise<string>>>): DirectoryEntry {
  const texts = Object.entries(files).map(([name, text]) => textEntry(name, text, atMs));
  return madeDirectory(factsFolder, texts, atMs);
}

/** A file whose bytes come from `open`, e.g. the output of a program. */
export function streamEntry(
  attributes: NodeAttributes,
  layout: ContentLayout,
  open: () => Promise<ByteStream> | ByteStream,
): FileEntry {
  return {
    kind: 'file',
    attributes,
    layout,
    trustAttributes: false,
    open: async () => readerOf(await open(), attributes),
  };
}

export function textEntry(name: string, text: () => Promise<string>, atMs: number): FileEntry {
  const attributes = madeAttributes(name, 'file', atMs);
  return {
    kind: 'file',
    attributes,
    layout: { cut: 'content' },
    trustAttributes: false,
    open: async () => {
      const bytes = utf8(await text());
      return readerOf(streamOf([bytes]), { ...attributes, size: bytes.length });
    },
  };
}

/** Attributes of something no file system holds: readable, owned by root, changed when the backup began. */
export function madeAttributes(name: string, type: 'file' | 'dir', atMs: number): NodeAttributes {
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

/** Chunks as they come (a process's stdout) as a stream to read from. Leaving early ends the iteration. */
export function streamOf(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): ByteStream {
  const iterator = Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]();
  let rest: Uint8Array = new Uint8Array();
  return {
    async read(into) {
      let length = 0;
      while (length < into.byteLength) {
        if (rest.byteLength === 0) {
          const next = await iterator.next();
          if (next.done) return length;
          rest = next.value;
        }
        const part = rest.subarray(0, into.byteLength - length);
        copyBytes(part, into, length);
        length += part.byteLength;
        rest = rest.subarray(part.byteLength);
      }
      return length;
    },
    async close() {
      await iterator.return?.();
    },
  };
}

function readerOf(stream: ByteStream, attributes: NodeAttributes): FileReader {
  return {
    read: (into) => stream.read(into),
    // what was made does not change while it is read
    attributes: async () => attributes,
    close: async () => await stream.close?.(),
  };
}
