/** A repository on restic's REST server: restic's own objects at their own paths, all others labelled beside them. */
import { HoldfastError } from '../../base/errors.ts';
import { objectTooShort } from '../object-faults.ts';
import { checkObjectName } from '../object-name.ts';
import type { ByteRange, PutOptions, Storage, StoredObject } from '../storage.ts';
import { besidePath, LabelledObjects } from './labelled-objects.ts';
import { RestObjects, type Target } from './objects.ts';
import type { RestServer } from './server.ts';

const folders = ['data', 'index', 'keys', 'locks', 'snapshots'];

export class RestStorage implements Storage {
  readonly location: string;
  readonly parallelPuts = 4;
  readonly requirePlace?: () => Promise<void>;
  readonly #server: RestServer;
  readonly #objects: RestObjects;
  readonly #labelled: LabelledObjects;
  readonly #path: string;

  /** The protocol cannot say whether its place is there; `requirePlace` can, where something else knows. */
  constructor(server: RestServer, requirePlace?: () => Promise<void>) {
    const { shown, path } = server.place;
    this.location = shown;
    this.requirePlace = requirePlace;
    this.#server = server;
    this.#path = path;
    this.#objects = new RestObjects(server);
    this.#labelled = new LabelledObjects(this.#objects, besidePath(path), shown);
  }

  /** Makes the repository's folders on the server. */
  async create(): Promise<void> {
    await this.#objects.create(this.#path, 'make the repository');
  }

  async put(name: string, parts: readonly Uint8Array[], options: PutOptions = {}): Promise<void> {
    checkObjectName(name);
    const { mustNotExist = false, signal } = options;
    const target = this.#target(name, signal);
    if (target) await this.#objects.post(target, parts, mustNotExist);
    else await this.#labelled.put(name, parts, { mustNotExist, signal });
  }

  async get(name: string, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    checkObjectName(name);
    const target = this.#target(name, signal);
    if (target) return await (range ? this.#objects.getRange(target, range) : this.#objects.get(target));
    return await this.#labelled.read(name, signal, async (at, { start, sizeBytes }) => {
      const { offset, length } = range ?? { offset: 0, length: sizeBytes };
      this.#checkEnd(name, offset + length, sizeBytes);
      return await this.#objects.getRange(at, { offset: start + offset, length });
    });
  }

  async getInto(name: string, offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void> {
    checkObjectName(name);
    const target = this.#target(name, signal);
    if (target) return await this.#objects.getInto(target, offset, into);
    await this.#labelled.read(name, signal, async (at, { start, sizeBytes }) => {
      this.#checkEnd(name, offset + into.byteLength, sizeBytes);
      await this.#objects.getInto(at, start + offset, into);
    });
  }

  async stat(name: string, signal?: AbortSignal): Promise<StoredObject | undefined> {
    checkObjectName(name);
    const target = this.#target(name, signal);
    if (!target) return await this.#labelled.stat(name, signal);
    const sizeBytes = await this.#objects.size(target);
    return sizeBytes === undefined ? undefined : { name, sizeBytes };
  }

  async *list(folder: string, signal?: AbortSignal): AsyncGenerator<StoredObject> {
    checkObjectName(folder);
    const [type] = folder.split('/');
    if (!folders.includes(type)) {
      yield* await this.#labelled.list(folder, signal);
      return;
    }
    const found = await this.#objects.list({ path: `${this.#path}${type}/`, name: folder, signal });
    for (const [id, sizeBytes] of found) {
      const name = type === 'data' ? `data/${id.slice(0, 2)}/${id}` : `${type}/${id}`;
      if (isId(id) && name.startsWith(`${folder}/`)) yield { name, sizeBytes };
    }
  }

  async delete(name: string, signal?: AbortSignal): Promise<void> {
    checkObjectName(name);
    const target = this.#target(name, signal);
    if (target) await this.#objects.delete(target);
    else await this.#labelled.delete(name, signal);
  }

  async close(): Promise<void> {
    await this.#server.close();
  }

  /** Where one of restic's own objects is; `undefined` for all others. The server has no second level below `data`. */
  #target(name: string, signal: AbortSignal | undefined): Target | undefined {
    if (name === 'config') return { path: `${this.#path}config`, name, signal };
    const parts = name.split('/');
    const [type] = parts;
    const id = parts[parts.length - 1];
    if (!folders.includes(type)) return undefined;
    const right = name === (type === 'data' ? `data/${id.slice(0, 2)}/${id}` : `${type}/${id}`);
    if (right && isId(id)) return { path: `${this.#path}${type}/${id}`, name, signal };
    throw new HoldfastError({
      code: 'internal',
      message: `${name} is not a name that restic’s REST server has in «${type}»`,
      remedy: 'Report this as a fault of Holdfast; nothing was read or written.',
    });
  }

  #checkEnd(name: string, end: number, sizeBytes: number): void {
    if (end > sizeBytes) throw objectTooShort(name, this.location, end);
  }
}

function isId(id: string): boolean {
  return /^[0-9a-f]{64}$/.test(id);
}
