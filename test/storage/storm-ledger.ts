/** What must be in one repository, by its snapshots; compared with what lies in its storage, seen past the storm. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isState } from '../../src/model/snapshot.ts';
import { restore } from '../../src/operations/snapshots/restore.ts';
import { persistentId } from '../../src/policy/copies.ts';
import { loadSnapshot, type Repository } from '../../src/repository/index.ts';
import { type Content, contentOf, type StormWorld, sources } from './storm-world.ts';

/** What an operation says of the snapshots of one repository. */
export interface Said {
  /** Stored. */
  readonly stored?: readonly string[];
  /** What a backup was given, stored or not. */
  readonly content?: Content;
  /** Snapshots it was told to remove, and that it says it removed. */
  readonly going?: readonly string[];
  readonly gone?: readonly string[];
}

export class Ledger {
  readonly name: string;
  readonly repository: Repository;
  /** Every snapshot that must be there, with what it holds. */
  readonly model = new Map<string, Content>();
  restoresCompared = 0;
  readonly #world: StormWorld;
  /** What each snapshot holds, by the id it had where it was made; the same for all repositories, forgotten ones included. */
  readonly #contents: Map<string, Content>;
  readonly #origins = new Map<string, string>();

  constructor(name: string, repository: Repository, world: StormWorld, contents: Map<string, Content>) {
    this.name = name;
    this.repository = repository;
    this.#world = world;
    this.#contents = contents;
  }

  /** The one that is, or is a copy of, the snapshot that had this id where it was made. */
  copyOf(origin: string): string | undefined {
    return [...this.model.keys()].find((id) => this.originOf(id) === origin);
  }

  /** The id a snapshot had where it was made. */
  originOf(id: string): string {
    return this.#origins.get(id)!;
  }

  async compare({ stored = [], content, going = [], gone = [] }: Said): Promise<void> {
    const there = new Set<string>();
    for await (const { name } of this.repository.storage.list('snapshots')) there.add(name.slice('snapshots/'.length));
    const title = (id: string): string => `snapshot ${id} of ${this.name}`;
    for (const id of stored) if (!there.has(id)) throw new Error(`${title(id)} was reported and is not stored`);
    for (const id of gone) if (there.has(id)) throw new Error(`${title(id)} was reported as removed and is there`);
    for (const id of this.model.keys()) {
      if (there.has(id)) continue;
      if (!going.includes(id)) throw new Error(`${title(id)} is lost`);
      this.model.delete(id);
    }
    for (const id of there) if (!this.model.has(id)) await this.#newcomer(id, content);
  }

  /** Stored, whether or not the answer arrived: then it must be whole. */
  async #newcomer(id: string, content: Content | undefined): Promise<void> {
    const snapshot = await loadSnapshot(this.repository, id);
    if (isState(snapshot)) return;
    const origin = persistentId(snapshot);
    const holds = snapshot.original === undefined ? content : this.#contents.get(origin);
    if (holds === undefined) throw new Error(`snapshot ${id} of ${this.name} came from nowhere`);
    const other = this.copyOf(origin);
    if (other !== undefined) throw new Error(`${this.name} has ${origin} twice, as ${other} and ${id}`);
    this.model.set(id, holds);
    this.#contents.set(origin, holds);
    this.#origins.set(id, origin);
  }

  async restored(id: string): Promise<void> {
    const target = mkdtempSync(join(this.#world.folder, 'restore-'));
    const to = join(target, 'here');
    try {
      const request = restore.input.parse({ snapshot: id, repository: this.name, to });
      await restore.run(request, this.#world.uses);
      const source = sources.map((name) => join(to, this.#world.folder, name)).find((place) => holds(place));
      requireEqual(source === undefined ? new Map() : contentOf(source), this.model.get(id)!, id);
      this.restoresCompared++;
    } finally {
      rmSync(target, { recursive: true, force: true });
    }
  }
}

function requireEqual(found: Content, expected: Content, id: string): void {
  const same = found.size === expected.size && [...expected].every(([file, hash]) => found.get(file) === hash);
  if (!same) throw new Error(`snapshot ${id} restores to something else than was backed up`);
}

function holds(place: string): boolean {
  try {
    return contentOf(place).size >= 0;
  } catch {
    return false;
  }
}
