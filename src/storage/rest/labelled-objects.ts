/**
 * Objects whose names are none of restic's, on servers that keep restic's objects only: known folders, names that are the
 * SHA-256 of the content. Each is stored with a label in front that says its name and length, under the SHA-256 of both, in a
 * repository-like folder beside the repository (`besidePath`). What is there is found by its list; labels are read once.
 *
 * An object shorter than its label says is one that is on its way, or was cut: it is not there. A put that replaces stores the new object and then removes the old one: killed in between it leaves both, and one of them,
 * always the same, counts. Memory: a label (at most 1 KiB) per object.
 */
import { createHash } from 'node:crypto';
import { utf8 } from '../../base/bytes.ts';
import { forEachConcurrent } from '../../base/concurrency.ts';
import { hasCode } from '../../base/errors.ts';
import { objectExists, objectMissing } from '../object-faults.ts';
import type { StoredObject } from '../storage.ts';
import type { RestObjects, Target } from './objects.ts';

interface Labelled {
  readonly id: string;
  readonly name: string;
  /** Where the content begins. */
  readonly start: number;
  readonly sizeBytes: number;
}

const magic = 'holdfast object 1\n';
/** A name has at most 900 bytes. */
const longestLabel = 1024;
const readTogether = 8;

/** Beside a repository of its own depth: restic's server knows two levels of folders at most. */
export function besidePath(path: string): string {
  const depth = path.split('/').filter((part) => part !== '').length;
  return depth === 2 ? `${path.slice(0, -1)}-holdfast/` : `${path}holdfast/`;
}

export class LabelledObjects {
  readonly #objects: RestObjects;
  readonly #path: string;
  readonly #place: string;
  readonly #known = new Map<string, Labelled>();
  #made = false;

  constructor(objects: RestObjects, path: string, place: string) {
    this.#objects = objects;
    this.#path = path;
    this.#place = place;
  }

  async put(
    name: string,
    parts: readonly Uint8Array[],
    { mustNotExist, signal }: { mustNotExist: boolean; signal?: AbortSignal },
  ): Promise<void> {
    const before = await this.#named(name, signal);
    if (mustNotExist && before.length > 0) throw objectExists(name, this.#place);
    if (!this.#made) await this.#objects.create(this.#path, `make a folder for ${name}`);
    this.#made = true;
    const length = parts.reduce((sum, part) => sum + part.byteLength, 0);
    const body = [utf8(labelOf(name, length)), ...parts];
    const hash = createHash('sha256');
    for (const part of body) hash.update(part);
    const id = hash.digest('hex');
    await this.#objects.post(this.#target(id, name, signal), body, false);
    for (const old of before) if (old.id !== id) await this.#objects.delete(this.#target(old.id, name, signal));
  }

  /** `use` gets where the object is stored and where in that its content begins. */
  async read<T>(name: string, signal: AbortSignal | undefined, use: (at: Target, object: Labelled) => Promise<T>) {
    for (let attempt = 0; ; attempt++) {
      const [object] = await this.#named(name, signal);
      if (!object) throw objectMissing(name, this.#place);
      try {
        return await use(this.#target(object.id, name, signal), object);
      } catch (error) {
        // replaced meanwhile: the list says by what
        if (!hasCode(error, 'storage.not-found') || attempt >= 20) throw error;
      }
    }
  }

  async stat(name: string, signal?: AbortSignal): Promise<StoredObject | undefined> {
    const [object] = await this.#named(name, signal);
    return object && { name, sizeBytes: object.sizeBytes };
  }

  async list(folder: string, signal?: AbortSignal): Promise<StoredObject[]> {
    const found = new Map<string, StoredObject>();
    for (const { name, sizeBytes } of await this.#all(signal)) {
      if (name.startsWith(`${folder}/`) && !found.has(name)) found.set(name, { name, sizeBytes });
    }
    return [...found.values()];
  }

  async delete(name: string, signal?: AbortSignal): Promise<void> {
    for (const { id } of await this.#named(name, signal)) {
      await this.#objects.delete(this.#target(id, name, signal));
      this.#known.delete(id);
    }
  }

  async #named(name: string, signal: AbortSignal | undefined): Promise<Labelled[]> {
    return (await this.#all(signal)).filter((object) => object.name === name);
  }

  /** In the order of their ids, so that everybody takes the same of two. */
  async #all(signal: AbortSignal | undefined): Promise<Labelled[]> {
    const sizes = await this.#objects.list({ path: `${this.#path}snapshots/`, name: 'objects of Holdfast', signal });
    const unknown = [...sizes].filter(([id]) => !this.#known.has(id));
    await forEachConcurrent(unknown, readTogether, ([id, size]) => this.#learn(id, size, signal), signal);
    for (const id of this.#known.keys()) if (!sizes.has(id)) this.#known.delete(id);
    const ids = [...sizes.keys()].sort((a, b) => (a < b ? -1 : 1));
    return ids.flatMap((id) => this.#known.get(id) ?? []);
  }

  async #learn(id: string, size: number, signal: AbortSignal | undefined): Promise<void> {
    if (!/^[0-9a-f]{64}$/.test(id) || size < magic.length) return;
    const target = this.#target(id, `the object ${id}`, signal);
    try {
      const head = await this.#objects.getRange(target, { offset: 0, length: Math.min(size, longestLabel) });
      const label = parseLabel(head);
      if (label && label.start + label.sizeBytes === size) this.#known.set(id, { id, ...label });
    } catch (error) {
      if (!hasCode(error, 'storage.not-found')) throw error; // gone meanwhile
    }
  }

  #target(id: string, name: string, signal: AbortSignal | undefined): Target {
    return { path: `${this.#path}snapshots/${id}`, name, signal };
  }
}

function labelOf(name: string, sizeBytes: number): string {
  return `${magic}${name} ${sizeBytes}\n`;
}

function parseLabel(head: Uint8Array): Omit<Labelled, 'id'> | undefined {
  const text = Buffer.from(head).toString('latin1');
  const match = /^([^ \n]+) (\d{1,15})\n/.exec(text.startsWith(magic) ? text.slice(magic.length) : '');
  return match ? { name: match[1], start: magic.length + match[0].length, sizeBytes: Number(match[2]) } : undefined;
}
