/**
 * Trees without what is lost: whatever can be read stays, and every loss is named. A file of which parts are lost stays under
 * another name, because nothing should take it for whole; a lost directory stays empty. Trees that lost nothing stay the
 * same blobs.
 *
 * Memory: one bit a blob, the trees of one path, and what was rewritten (its losses among it).
 */
import { createHash } from 'node:crypto';
import { toHex } from '../../base/bytes.ts';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { compareNames, encodeName } from '../../base/names.ts';
import { idBytes, type Node } from '../../model/node.ts';
import type { BlobIndex } from '../blob-index/blob-index.ts';
import { idBytesOf } from '../blob-index/index-files.ts';
import { decodeTree, encodeTree } from '../format/tree.ts';
import { EntrySet } from '../inventory/entry-set.ts';
import { packName } from '../layout.ts';
import { openBlob } from '../reading/blobs.ts';
import { readAgainIfDamaged } from '../reading/read-again.ts';
import type { Repository } from '../repository.ts';
import type { BlobSaver } from '../saving/blob-saver.ts';
import { isLoss } from './salvage.ts';

/** Stands for lost bytes in one piece; as long as the blobs that holes of sparse files are made of. */
const zeroBytes = 8 << 20;
const mark = '.incomplete';
const mostNameBytes = 255;

export interface Loss {
  /** Below the root of the snapshot. */
  readonly path: string;
  /** file: nothing of it is left · part: some of it, see `now` · directory: all that was in it. */
  readonly kind: 'file' | 'part' | 'directory';
  /** Bytes of the file that are lost; absent for a directory. */
  readonly bytes?: number;
  /** What the rest is called now. */
  readonly now?: string;
  /** The lost bytes are zeros in the rest, so that what follows them stays where it was. Otherwise it moved up. */
  readonly zeros?: boolean;
}

interface Rewritten {
  /** Hex. */
  readonly tree: string;
  /** Paths relative to the tree. */
  readonly losses: readonly Loss[];
}

export interface RewriterParts {
  readonly repository: Repository;
  /** Blobs that can be read. */
  readonly index: BlobIndex;
  /** Takes the new trees; nothing is stored without it. */
  readonly saver: BlobSaver | undefined;
  readonly signal?: AbortSignal;
}

export class TreeRewriter {
  readonly #parts: RewriterParts;
  readonly #sound: EntrySet;
  readonly #rewritten = new Map<string, Rewritten>();
  readonly #zeros = new Map<number, Uint8Array>();

  constructor(parts: RewriterParts) {
    this.#parts = parts;
    this.#sound = new EntrySet(parts.index.size);
  }

  /** The tree as it is now; `undefined` if it cannot be read itself. */
  async rewrite(tree: string): Promise<Rewritten | undefined> {
    this.#parts.signal?.throwIfAborted();
    const known = this.#rewritten.get(tree);
    if (known) return known;
    const entry = this.#parts.index.find('tree', idBytesOf(tree));
    if (entry >= 0 && this.#sound.has(entry)) return { tree, losses: [] };
    const nodes = await this.#read(entry);
    if (!nodes) return undefined;
    const losses: Loss[] = [];
    const kept: Node[] = [];
    const names = new Set(nodes.map(({ name }) => name));
    for (const node of nodes) {
      const left = await this.#node(node, names, losses);
      if (left) kept.push(left);
    }
    if (losses.length === 0) {
      this.#sound.add(entry);
      return { tree, losses };
    }
    kept.sort((a, b) => compareNames(a.name, b.name));
    const rewritten = { tree: await this.#store(kept), losses };
    this.#rewritten.set(tree, rewritten);
    return rewritten;
  }

  /** Only what is in no index is lost. What is there and does not open may lie elsewhere too: packs are repaired first. */
  async #read(entry: number): Promise<Node[] | undefined> {
    const { repository, index, signal } = this.#parts;
    const place = index.location(entry);
    if (!place) return undefined;
    try {
      return await readAgainIfDamaged(async () => {
        const range = { offset: place.offset, length: place.length };
        const stored = await repository.storage.get(packName(place.pack), range, signal);
        return decodeTree(openBlob(repository, stored, place.uncompressedLength, 'tree', index.id(entry)));
      });
    } catch (error) {
      throw isLoss(error) ? repairPacksFirst(messageOf(error), error) : error;
    }
  }

  async #node(node: Node, names: Set<string>, losses: Loss[]): Promise<Node | undefined> {
    if (node.type === 'file') return await this.#file(node, names, losses);
    if (node.type !== 'dir') return node;
    const below = node.subtree === undefined ? undefined : await this.rewrite(node.subtree);
    if (!below) {
      losses.push({ path: node.name, kind: 'directory' });
      return { ...node, subtree: await this.#store([]) };
    }
    for (const loss of below.losses) losses.push(within(node.name, loss));
    return below.tree === node.subtree ? node : { ...node, subtree: below.tree };
  }

  async #file(node: Node, names: Set<string>, losses: Loss[]): Promise<Node | undefined> {
    const content = node.content ?? new Uint8Array();
    const parts = this.#present(content);
    const lost = parts.filter((length) => length === undefined).length;
    if (lost === 0) return node;
    const presentBytes = parts.reduce<number>((sum, length) => sum + (length ?? 0), 0);
    const bytes = Math.max(0, node.size - presentBytes);
    if (lost === parts.length) {
      losses.push({ path: node.name, kind: 'file', bytes });
      return undefined;
    }
    const name = freeName(node.name, names);
    // How much is lost in each of several places is not known, only in all.
    const zeros = isOneRun(parts) && bytes > 0;
    const filled = zeros ? await this.#zeroIds(bytes) : new Uint8Array();
    losses.push({ path: node.name, kind: 'part', bytes, now: name, zeros });
    return { ...node, name, content: withoutLost(content, parts, filled), size: presentBytes + (zeros ? bytes : 0) };
  }

  /** The plain length of each blob; `undefined` for a lost one. */
  #present(content: Uint8Array): (number | undefined)[] {
    const { index } = this.#parts;
    return Array.from({ length: content.byteLength / idBytes }, (_, i) => {
      const entry = index.find('data', content, i * idBytes);
      return entry < 0 ? undefined : index.plainLength(entry);
    });
  }

  async #zeroIds(bytes: number): Promise<Uint8Array> {
    const ids: Uint8Array[] = [];
    for (let left = bytes; left > 0; left -= zeroBytes) ids.push(await this.#zeroId(Math.min(left, zeroBytes)));
    return Buffer.concat(ids);
  }

  async #zeroId(length: number): Promise<Uint8Array> {
    const known = this.#zeros.get(length);
    if (known) return known;
    const zeros = new Uint8Array(length);
    const id = (await this.#parts.saver?.storeBytes('data', zeros)) ?? createHash('sha256').update(zeros).digest();
    this.#zeros.set(length, id);
    return id;
  }

  async #store(nodes: readonly Node[]): Promise<string> {
    const json = encodeTree(nodes);
    return toHex((await this.#parts.saver?.storeTree(json)) ?? createHash('sha256').update(json).digest());
  }
}

/** The refusal to leave out what only seems lost. */
export function repairPacksFirst(what: string, cause?: unknown): HoldfastError {
  return new HoldfastError({
    code: 'repository.damaged',
    message: `no snapshot was repaired, because that would leave out what may still be readable: ${what}`,
    remedy: 'Repair the packs first: holdfast repo repair packs REPOSITORY.',
    cause,
  });
}

function within(directory: string, loss: Loss): Loss {
  const now = loss.now === undefined ? {} : { now: `${directory}/${loss.now}` };
  return { ...loss, path: `${directory}/${loss.path}`, ...now };
}

function isOneRun(parts: readonly (number | undefined)[]): boolean {
  const starts = parts.filter((length, i) => length === undefined && (i === 0 || parts[i - 1] !== undefined));
  return starts.length === 1;
}

/** The ids of what is left, with `filled` in the place of the first lost ones. */
function withoutLost(content: Uint8Array, parts: readonly (number | undefined)[], filled: Uint8Array): Uint8Array {
  const ids: Uint8Array[] = [];
  for (const [i, length] of parts.entries()) {
    if (length !== undefined) ids.push(content.subarray(i * idBytes, (i + 1) * idBytes));
    else if (i === 0 || parts[i - 1] !== undefined) ids.push(filled);
  }
  return Buffer.concat(ids);
}

/** Reserves it in `names`. A name that would become too long stays as it is. */
function freeName(name: string, names: Set<string>): string {
  for (let count = 1; ; count++) {
    const candidate = count === 1 ? `${name}${mark}` : `${name}${mark}-${count}`;
    if (encodeName(candidate).byteLength > mostNameBytes) return name;
    if (names.has(candidate)) continue;
    names.add(candidate);
    return candidate;
  }
}
