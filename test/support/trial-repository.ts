/** Small repositories for tests: made without a driver, on any storage, with a clock that does not wait. */
import { createHash } from 'node:crypto';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { Secret } from '../../src/base/secrets.ts';
import type { Node } from '../../src/model/node.ts';
import { snapshotTags } from '../../src/model/snapshot.ts';
import {
  BlobSaver,
  encodeTree,
  initRepository,
  loadBlob,
  loadSnapshot,
  loadTree,
  type Repository,
  saveSnapshot,
} from '../../src/repository/index.ts';
import { Repository as OpenRepository } from '../../src/repository/repository.ts';
import { type MemoryPlace, memoryStorage } from '../../src/storage/memory.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { cheapKdf } from './cheap-repository.ts';

export const trialPassword = 'trial';

/** Real time, but foreground waits pass at once. */
export const impatientClock: Clock = {
  ...systemClock,
  sleep: async (ms, options = {}) => {
    if (options.background) await systemClock.sleep(ms, options);
  },
};

export async function trialRepository(storage: Storage): Promise<Repository> {
  return await initRepository({ storage, password: new Secret(trialPassword), clock: impatientClock, kdf: cheapKdf });
}

/** The same repository through another storage; nothing read so far is known to it. */
export function reopened(repository: Repository, storage: Storage, clock = repository.clock): Repository {
  return new OpenRepository({ ...repository, sealer: repository.sealer, storage, clock });
}

export function copyOf(place: MemoryPlace): MemoryPlace {
  return new Map(place);
}

/** Paths without leading slash; each content is a list of blobs. */
export type TrialFiles = Readonly<Record<string, readonly Uint8Array[]>>;

/** Bytes that do not compress, the same for the same name. */
export function noise(name: string, length: number): Buffer {
  return createHash('shake256', { outputLength: length }).update(name).digest();
}

export async function makeSnapshot(
  repository: Repository,
  files: TrialFiles,
  facts: { source?: string; time?: string } = {},
): Promise<string> {
  await using saver = await BlobSaver.open(repository, { threads: 1 });
  const tree = await storeDirectory(saver, files);
  await saver.finish();
  return await saveSnapshot(repository, {
    time: facts.time ?? '2026-11-20T03:00:00Z',
    tree,
    paths: ['/trial'],
    hostname: 'trial',
    tags: snapshotTags({ source: facts.source ?? 'trial', driver: 'files', run: 'r1' }),
  });
}

async function storeDirectory(saver: BlobSaver, files: TrialFiles): Promise<string> {
  const nodes: Node[] = [];
  const groups = Map.groupBy(Object.entries(files), ([path]) => path.split('/')[0]);
  for (const [name, members] of groups) {
    if (members.length === 1 && members[0][0] === name) {
      nodes.push(await fileNode(saver, name, members[0][1]));
    } else {
      const inner = Object.fromEntries(members.map(([path, blobs]) => [path.slice(name.length + 1), blobs]));
      nodes.push({ ...plainNode(name, 'dir'), mode: 0o755, subtree: await storeDirectory(saver, inner) });
    }
  }
  nodes.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  return Buffer.from(await saver.storeTree(encodeTree(nodes))).toString('hex');
}

async function fileNode(saver: BlobSaver, name: string, blobs: readonly Uint8Array[]): Promise<Node> {
  const ids: Uint8Array[] = [];
  for (const blob of blobs) ids.push(await saver.storeBytes('data', blob));
  const size = blobs.reduce((sum, blob) => sum + blob.byteLength, 0);
  return { ...plainNode(name, 'file'), size, links: 1, content: Buffer.concat(ids) };
}

function plainNode(name: string, type: Node['type']): Node {
  const atNs = 1_700_000_000_000_000_000n;
  const times = { mtimeNs: atNs, atimeNs: atNs, ctimeNs: atNs };
  return { name, type, mode: 0o644, ...times, uid: 0, gid: 0, inode: 1n, deviceId: 0n, size: 0, links: 0 };
}

/** Every file of a snapshot with its whole content. */
export async function readSnapshot(repository: Repository, id: string): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  await readTree(repository, (await loadSnapshot(repository, id)).tree, '', files);
  return files;
}

async function readTree(repository: Repository, tree: string, path: string, files: Map<string, Buffer>): Promise<void> {
  for (const node of await loadTree(repository, tree)) {
    const place = path === '' ? node.name : `${path}/${node.name}`;
    if (node.subtree) await readTree(repository, node.subtree, place, files);
    if (node.type !== 'file') continue;
    const blobs: Uint8Array[] = [];
    for (let at = 0; at < node.content!.byteLength; at += 32) {
      blobs.push(await loadBlob(repository, 'data', node.content!.subarray(at, at + 32)));
    }
    files.set(place, Buffer.concat(blobs));
  }
}

export function contentOf(files: TrialFiles): Map<string, Buffer> {
  return new Map(
    Object.entries(files)
      .map(([path, blobs]): [string, Buffer] => [path, Buffer.concat(blobs)])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** A repository in memory. */
export async function memoryRepository(): Promise<{ place: MemoryPlace; repository: Repository }> {
  const place: MemoryPlace = new Map();
  return { place, repository: await trialRepository(memoryStorage(place)) };
}
