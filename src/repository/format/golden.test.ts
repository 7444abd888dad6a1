/** Documents of real repositories (test/vectors/make-restic-vectors.sh): read, compared with facts, and written again byte for byte. */
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { encodeName } from '../../base/names.ts';
import type { Node } from '../../model/node.ts';
import { createKernel } from '../kernel/kernel.ts';
import { deriveKey, Sealer } from '../sealing/crypto.ts';
import { decodeConfig, encodeConfig } from './config.ts';
import { decodeIndexFile, encodeIndexFile, type PackBlobs } from './index-file.ts';
import { decodeKeyFile, decodeMasterKey, encodeKeyFile, encodeMasterKey } from './key-file.ts';
import { decodeLock, encodeLock } from './lock.ts';
import { decodePackHeader, encodePackHeader, headerLength, type PackEntry, parseTail } from './pack-header.ts';
import { decodeSnapshot, encodeSnapshot } from './snapshot.ts';
import { decodeTree, encodeTree } from './tree.ts';
import { decodeUnpacked } from './unpacked.ts';

interface Unpacked {
  readonly envelope: string;
  readonly json: string;
}

interface Fact {
  readonly name: string;
  readonly mode: number;
  readonly mtimeNs: string;
  readonly uid: number;
  readonly gid: number;
  readonly inode: string;
  readonly deviceId: string;
  readonly size: number;
  readonly device?: string;
  readonly target?: string;
}

interface Vectors {
  readonly madeBy: string;
  readonly zone: string;
  readonly keyFile: string;
  readonly masterKey: string;
  readonly config: string;
  readonly locks: readonly Unpacked[];
  readonly snapshots: readonly Unpacked[];
  readonly indexes: readonly Unpacked[];
  readonly packs: readonly { id: string; bytes: number; tail: string; header: string }[];
  readonly trees: readonly { id: string; json: string }[];
  readonly facts: readonly Fact[];
}

function load(name: string): Vectors {
  const url = new URL(`../../../test/vectors/restic/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(url, 'utf8')) as Vectors;
}

const utf8 = (text: string): Buffer => Buffer.from(text, 'utf8');
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
const base64 = (encoded: string): Buffer => Buffer.from(encoded, 'base64');
const fileTypes = new Map<number, Node['type']>([
  [0o010000, 'fifo'],
  [0o020000, 'chardev'],
  [0o040000, 'dir'],
  [0o060000, 'dev'],
  [0o100000, 'file'],
  [0o120000, 'symlink'],
]);

/**
 * What restic 0.14 wrote otherwise: it did not keep link targets that are not UTF-8 (so that a character stands now where a
 * byte was), and its Go had no short forms for two control characters.
 */
function asNow(json: string): string {
  return json.replaceAll('\\ufffd', '\ufffd').replaceAll('\\u0008', '\\b').replaceAll('\\u000c', '\\f');
}

/** The tree of the hostile directory itself, as of the second backup. */
function hostileTree(vectors: Vectors): Node[] {
  const found = vectors.trees
    .map(({ json }) => decodeTree(utf8(json)))
    .find((nodes) => nodes.length === vectors.facts.length && nodes.some((node) => node.name === 'more'));
  if (!found) throw new Error('the vectors hold no such tree');
  return found;
}

function packsOf(json: Uint8Array): PackBlobs[] {
  const packs: PackBlobs[] = [];
  decodeIndexFile(json, (id, entries) => packs.push({ id, entries }));
  return packs;
}

let zone: string | undefined;
beforeEach(() => {
  zone = process.env.TZ;
});
afterEach(() => {
  if (zone === undefined) delete process.env.TZ;
  else process.env.TZ = zone;
});

describe.each(['old-v1', 'old-v2', 'new-v2', 'new-times'])('a repository of restic: %s', (name) => {
  const vectors = load(name);

  test('its trees are written again byte for byte, in the zone they were made in', () => {
    process.env.TZ = vectors.zone;
    expect(vectors.trees.length).toBeGreaterThan(8);
    for (const { id, json } of vectors.trees) {
      expect(hash('sha256', json)).toBe(id);
      const expected = name.startsWith('old') ? asNow(json) : json;
      expect(text(encodeTree(decodeTree(utf8(json))))).toBe(expected);
    }
  });

  test('its trees say what the file system says', () => {
    const nodes = hostileTree(vectors);
    const byName = new Map(nodes.map((node) => [encodeName(node.name).toString('hex'), node]));
    for (const fact of vectors.facts) {
      const node = byName.get(fact.name)!;
      const { mtimeNs, uid, gid, inode, deviceId, size, device } = node;
      const type = fileTypes.get(fact.mode & 0o170000);
      expect(node).toMatchObject({ type, mode: fact.mode & 0o7777 });
      expect({ uid, gid, inode, deviceId, size }).toEqual({
        uid: fact.uid,
        gid: fact.gid,
        inode: BigInt(fact.inode),
        deviceId: BigInt(fact.deviceId),
        size: fact.size,
      });
      if (name !== 'new-times') expect(mtimeNs).toBe(BigInt(fact.mtimeNs));
      expect(device).toBe(fact.device === undefined ? undefined : BigInt(fact.device));
      expect(node.content === undefined).toBe(type !== 'file');
      if (fact.target !== undefined && (name === 'new-v2' || !fact.target.includes('ff'))) {
        expect(encodeName(node.linkTarget!).toString('hex')).toBe(fact.target);
      }
    }
  });

  test('its index files are written again byte for byte', () => {
    for (const { json } of vectors.indexes) {
      expect(text(encodeIndexFile(packsOf(utf8(json))))).toBe(json);
    }
  });

  test('its packs end as its indexes say', () => {
    const indexed = new Map(
      vectors.indexes.flatMap(({ json }) => packsOf(utf8(json))).map((one) => [one.id, one.entries]),
    );
    const byOffset = (a: PackEntry, b: PackEntry): number => a.offset - b.offset;
    const plain = (entry: PackEntry) => ({ ...entry, id: Buffer.from(entry.id).toString('hex') });
    for (const pack of vectors.packs) {
      const entries = decodePackHeader(base64(pack.header));
      expect(entries.map(plain)).toEqual([...indexed.get(pack.id)!].sort(byOffset).map(plain));
      expect(Buffer.from(encodePackHeader(entries)).toString('base64')).toBe(pack.header);
    }
  });

  test('the tails of its packs are understood and open with its key', () => {
    const sealer = new Sealer(decodeMasterKey(utf8(vectors.masterKey)), createKernel());
    for (const pack of vectors.packs) {
      const tail = base64(pack.tail);
      const { sealedHeader, bodyBytes, headerBytes } = parseTail(tail, pack.bytes);
      const header = sealer.open(sealedHeader!);
      expect(Buffer.from(header).toString('base64')).toBe(pack.header);
      expect(headerLength(decodePackHeader(header, bodyBytes)) + 32).toBe(headerBytes);
      expect(parseTail(tail.subarray(1), pack.bytes)).toEqual({ headerBytes, bodyBytes, sealedHeader: undefined });
    }
  });

  test('its snapshots, locks, config and master key are written again byte for byte', () => {
    for (const { json } of vectors.snapshots) expect(text(encodeSnapshot(decodeSnapshot(utf8(json))))).toBe(json);
    expect(vectors.locks.length).toBe(1);
    for (const { json } of vectors.locks) expect(text(encodeLock(decodeLock(utf8(json))))).toBe(json);
    expect(text(encodeConfig(decodeConfig(utf8(vectors.config))))).toBe(vectors.config);
    expect(text(encodeMasterKey(decodeMasterKey(utf8(vectors.masterKey))))).toBe(vectors.masterKey);
  });

  test('its key file is written again byte for byte, and holds its master key', async () => {
    const file = decodeKeyFile(utf8(vectors.keyFile));
    expect(text(encodeKeyFile(file))).toBe(vectors.keyFile);
    const sealer = new Sealer(await deriveKey('vectors', file.kdf), createKernel());
    expect(text(sealer.open(file.sealedMasterKey))).toBe(vectors.masterKey);
  });

  test('its envelopes open', () => {
    const { locks, snapshots, indexes } = vectors;
    for (const { envelope, json } of [...locks, ...snapshots, ...indexes]) {
      expect(text(decodeUnpacked(base64(envelope)))).toBe(json);
    }
  });
});

test('times before year 0 and after 9999 are written as restic writes them', () => {
  const vectors = load('new-times');
  process.env.TZ = vectors.zone;
  const nodes = hostileTree(vectors);
  const byName = new Map(vectors.facts.map((fact) => [fact.name, BigInt(fact.mtimeNs)]));
  expect(nodes.length).toBeGreaterThan(10);
  for (const node of nodes) {
    const mtimeNs = byName.get(Buffer.from(node.name).toString('hex'))!;
    expect(text(encodeTree([{ ...node, mtimeNs }]))).toBe(text(encodeTree([node])));
  }
});
