/**
 * State snapshots: small files about whoever fills the repository, so that it describes itself. Each configuration (a file
 * on a host) has its own; only the newest few stay, the newest always. What the repository holds anyway is not in them.
 */
import { createHash } from 'node:crypto';
import { formatLocalInstant } from '../../base/clock.ts';
import { currentUser } from '../../base/current-user.ts';
import { HoldfastError, hasCode } from '../../base/errors.ts';
import type { Node } from '../../model/node.ts';
import { holdfastTag, isState, type StoredSnapshot, stateTag } from '../../model/snapshot.ts';
import { encodeTree } from '../format/tree.ts';
import { lockRepository } from '../locking/locks.ts';
import { forgetSnapshots } from '../prune/forget.ts';
import { loadBlob, loadTree } from '../reading/blobs.ts';
import type { Repository } from '../repository.ts';
import { adoptPacks } from '../saving/adopt.ts';
import { BlobSaver } from '../saving/blob-saver.ts';
import { deleteUnpacked } from '../sealing/unpacked.ts';
import { listPins } from './pins.ts';
import { listSnapshots, saveSnapshot } from './snapshots.ts';

/** The directory at the root of a state snapshot. */
export const stateFolder = 'holdfast-state';
/** So many of each configuration stay. */
const keptStates = 5;
const pieceBytes = 1 << 20;

export interface StateRecord {
  readonly hostname: string;
  /** The absolute path of the configuration: what the snapshot's `paths` say. */
  readonly path: string;
  /** By name, without folders; at most a few MiB. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** When this was the state. */
  readonly timeMs: number;
  readonly programVersion: string;
}

export interface SavedState {
  /** Absent if the newest one holds just this. */
  readonly snapshot?: string;
  /** Older ones that were removed. */
  readonly removed: readonly string[];
}

export interface StateOptions {
  readonly lockWaitMs?: number;
  readonly signal?: AbortSignal;
}

/** Stores the state unless the newest one of this configuration is the same. Needs a storage to write to; a shared lock. */
export async function saveState(
  repository: Repository,
  record: StateRecord,
  { lockWaitMs, signal }: StateOptions = {},
): Promise<SavedState> {
  const plan = await planState(repository, record, await listSnapshots(repository, signal), signal);
  if (plan === undefined) return { removed: [] };
  const snapshot = await store(repository, plan.record, { lockWaitMs, signal });
  const { excess } = plan;
  return { snapshot, removed: excess.length === 0 ? [] : await remove(repository, excess, { lockWaitMs, signal }) };
}

/** A backup that is under way: its lock is held, its saver not finished. */
export interface StateBeside {
  readonly saver: BlobSaver;
  /** Those that were there when it began. */
  readonly snapshots: readonly StoredSnapshot[];
  /** Of the snapshot it makes. */
  readonly timeMs: number;
  readonly signal?: AbortSignal;
}

/**
 * As `saveState`, by a backup and under its lock: the state goes into the same packs. What this resolves with makes it
 * visible, for after the saver has finished and the backup's own snapshot is there.
 */
export async function stateBeside(
  record: StateRecord,
  { saver, snapshots, timeMs, signal }: StateBeside,
): Promise<() => Promise<SavedState>> {
  const { repository } = saver;
  const plan = await planState(repository, record, snapshots, signal, timeMs);
  if (plan === undefined) return async () => ({ removed: [] });
  const tree = await storeTree(saver, plan.record);
  return async () => {
    const snapshot = await saveStateSnapshot(repository, plan.record, tree);
    return { snapshot, removed: await removeHeld(repository, plan.excess) };
  };
}

interface StatePlan {
  /** With the time it is stored under. */
  readonly record: StateRecord;
  /** Older ones that then go, unless they are pinned by then. */
  readonly excess: readonly string[];
}

/** `undefined`: the newest one holds just this. */
async function planState(
  repository: Repository,
  record: StateRecord,
  snapshots: readonly StoredSnapshot[],
  signal: AbortSignal | undefined,
  sourceTimeMs?: number,
): Promise<StatePlan | undefined> {
  const own = snapshots.filter(
    (one) => isState(one) && one.hostname === record.hostname && one.paths[0] === record.path,
  );
  const newest = own.at(-1);
  if (newest && (await holds(repository, newest, record, signal))) return undefined;
  const newestSourceMs = sourceTimeMs ?? snapshots.findLast((one) => !isState(one))?.timeMs;
  const excess = own.slice(0, Math.max(0, own.length + 1 - keptStates)).map((one) => one.id);
  return { record: { ...record, timeMs: timeFor(record, newest, newestSourceMs) }, excess };
}

/** Asked just before they go: one may have been pinned since the plan was made, which is as long as a backup takes. */
async function unpinned(repository: Repository, ids: readonly string[], signal?: AbortSignal): Promise<string[]> {
  if (ids.length === 0) return [];
  const pins = await listPins(repository, signal);
  return ids.filter((id) => !pins.has(id));
}

/** Before the newest snapshot of a source, which is what restic means by `latest`; but after the state it follows. */
function timeFor(
  { timeMs }: StateRecord,
  previous: StoredSnapshot | undefined,
  newestSourceMs: number | undefined,
): number {
  const before = newestSourceMs === undefined ? timeMs : Math.min(timeMs, newestSourceMs - 1);
  return previous === undefined ? before : Math.max(before, previous.timeMs + 1);
}

/** Where nothing may be deleted, old ones stay. */
async function remove(repository: Repository, ids: readonly string[], options: StateOptions): Promise<string[]> {
  const mayStillGo = async (): Promise<Set<string>> => new Set(await unpinned(repository, ids, options.signal));
  try {
    return await forgetSnapshots(repository, ids, { ...options, mayStillGo });
  } catch (error) {
    if (!hasCode(error, 'storage.denied')) throw error;
    return [];
  }
}

/** The same under a lock that is held. */
async function removeHeld(repository: Repository, ids: readonly string[]): Promise<string[]> {
  try {
    const going = await unpinned(repository, ids);
    for (const id of going) await deleteUnpacked(repository, 'snapshots', id);
    return going;
  } catch (error) {
    if (!hasCode(error, 'storage.denied')) throw error;
    return [];
  }
}

/** Oldest first. */
export async function listStates(repository: Repository, signal?: AbortSignal): Promise<StoredSnapshot[]> {
  return (await listSnapshots(repository, signal)).filter(isState);
}

/** The files of a state snapshot. `repository.damaged`; `snapshot.path-missing` if it is none. */
export async function readState(
  repository: Repository,
  snapshot: StoredSnapshot,
  signal?: AbortSignal,
): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const node of await stateNodes(repository, snapshot, signal)) {
    const parts: Uint8Array[] = [];
    for (let at = 0; at < (node.content?.byteLength ?? 0); at += 32) {
      parts.push(await loadBlob(repository, 'data', node.content!.subarray(at, at + 32), signal));
    }
    files.set(node.name, Buffer.concat(parts));
  }
  return files;
}

async function stateNodes(repository: Repository, snapshot: StoredSnapshot, signal?: AbortSignal): Promise<Node[]> {
  const folder = (await loadTree(repository, snapshot.tree, signal)).find((node) => node.name === stateFolder);
  if (folder?.subtree) return await loadTree(repository, folder.subtree, signal);
  throw new HoldfastError({
    code: 'snapshot.path-missing',
    message: `snapshot ${snapshot.id.slice(0, 8)} is marked as a state of Holdfast, but holds none`,
    remedy: 'Use another one; it was made, or its tag was set, by another program.',
  });
}

/** Compares by ids: only the trees are read. */
async function holds(
  repository: Repository,
  snapshot: StoredSnapshot,
  { files }: StateRecord,
  signal?: AbortSignal,
): Promise<boolean> {
  const nodes = await stateNodes(repository, snapshot, signal);
  if (nodes.length !== files.size) return false;
  return nodes.every((node) => {
    const bytes = files.get(node.name);
    return bytes !== undefined && Buffer.compare(idsOf(bytes), node.content ?? Buffer.alloc(0)) === 0;
  });
}

function idsOf(bytes: Uint8Array): Buffer {
  return Buffer.concat(piecesOf(bytes).map((piece) => createHash('sha256').update(piece).digest()));
}

function piecesOf(bytes: Uint8Array): Uint8Array[] {
  const count = Math.ceil(bytes.byteLength / pieceBytes);
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * pieceBytes, (i + 1) * pieceBytes));
}

async function store(repository: Repository, record: StateRecord, options: StateOptions): Promise<string> {
  const { lockWaitMs: waitMs, signal } = options;
  await using lock = await lockRepository(repository, { exclusive: false, waitMs, signal });
  // Somebody may have pruned since the index was read: nothing that is gone may count as stored.
  await adoptPacks(repository, lock.signal);
  await using saver = await BlobSaver.open(repository, { threads: 1, signal: lock.signal });
  const tree = await storeTree(saver, record);
  await saver.finish();
  return await saveStateSnapshot(repository, record, tree);
}

async function saveStateSnapshot(repository: Repository, record: StateRecord, tree: string): Promise<string> {
  return await saveSnapshot(repository, {
    time: formatLocalInstant(record.timeMs),
    tree,
    paths: [record.path],
    hostname: record.hostname,
    ...currentUser(),
    tags: [holdfastTag, stateTag],
    programVersion: record.programVersion,
  });
}

async function storeTree(saver: BlobSaver, { files, timeMs }: StateRecord): Promise<string> {
  const nodes: Node[] = [];
  for (const [name, bytes] of files) {
    const ids: Uint8Array[] = [];
    for (const piece of piecesOf(bytes)) ids.push(await saver.storeBeside('data', piece));
    nodes.push({ ...plainNode(name, timeMs), size: bytes.byteLength, links: 1, content: Buffer.concat(ids) });
  }
  nodes.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  const subtree = Buffer.from(await saver.storeBeside('tree', encodeTree(nodes))).toString('hex');
  const folder: Node = { ...plainNode(stateFolder, timeMs), type: 'dir', mode: 0o700, subtree };
  return Buffer.from(await saver.storeBeside('tree', encodeTree([folder]))).toString('hex');
}

function plainNode(name: string, timeMs: number): Node {
  const atNs = BigInt(Math.floor(timeMs)) * 1_000_000n;
  const times = { mtimeNs: atNs, atimeNs: atNs, ctimeNs: atNs };
  return { name, type: 'file', mode: 0o600, ...times, uid: 0, gid: 0, inode: 0n, deviceId: 0n, size: 0, links: 0 };
}
