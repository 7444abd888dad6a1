/**
 * One run of random operations under random weather, judged after every step: what the program said it stored is stored, what
 * it did not remove is there, what it restores is exact, and every failure is one that a person can act on.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { HoldfastError } from '../../src/base/errors.ts';
import { isState } from '../../src/model/snapshot.ts';
import { backup } from '../../src/operations/backup.ts';
import { forget } from '../../src/operations/forget.ts';
import { repoCheck, repoPrune } from '../../src/operations/repo.ts';
import { restore } from '../../src/operations/restore.ts';
import { loadSnapshot } from '../../src/repository/index.ts';
import { seededRandom } from '../../src/storage/fault-plan.ts';
import type { Storm, Weather } from '../servers/storm-proxy.ts';
import { type Content, contentOf, type SourceName, type StormWorld, sources } from './storm-world.ts';

export interface StormFigures {
  operations: number;
  completed: number;
  failed: number;
  requests: number;
  struck: Map<Storm, number>;
  /** By code. */
  errors: Map<string, number>;
  restoresCompared: number;
}

const weathers: readonly Weather[] = [
  {},
  breeze(0.01),
  breeze(0.03),
  breeze(0.07),
  { lose: 0.25, tear: 0.25 },
  { lose: 0.6, tear: 0.3 },
  { flip: 0.05, cut: 0.05 },
  { 'drop-after': 0.3, 'drop-amid': 0.2 },
  { refuse: 0.5 },
  { refuse: 0.9 },
];
const verbs = ['backup', 'backup', 'backup', 'forget', 'prune', 'check', 'restore', 'restore'] as const;
/** What a failure may be, when the storage is bad: trying again later is what helps. */
const retryable = new Set(['storage.unreachable', 'storage.io']);
const checkEvery = 25;

function breeze(share: number): Weather {
  const same = ['drop-before', 'drop-amid', 'drop-after', 'delay', 'refuse', 'lose', 'tear'] as const;
  return { ...Object.fromEntries(same.map((storm) => [storm, share])), cut: share / 4, flip: share / 4 };
}

type Verb = (typeof verbs)[number];

/** What a step says of itself. */
interface Outcome {
  readonly error?: { readonly code: string; readonly message: string; readonly remedy: string };
  /** A snapshot it says it stored. */
  readonly stored?: string;
  /** What a backup was given, stored or not. */
  readonly content?: Content;
  /** Snapshots it was told to remove, and that it says it removed. */
  readonly going?: readonly string[];
  readonly gone?: readonly string[];
}

export class StormRun {
  readonly figures: StormFigures = {
    operations: 0,
    completed: 0,
    failed: 0,
    requests: 0,
    struck: new Map(),
    errors: new Map(),
    restoresCompared: 0,
  };
  readonly #world: StormWorld;
  readonly #draw: () => number;
  /** Every snapshot that must be there, with what it holds. */
  readonly #model = new Map<string, Content>();

  constructor(world: StormWorld, seed: number) {
    this.#world = world;
    this.#draw = seededRandom(seed);
  }

  async run(operations: number): Promise<StormFigures> {
    for (let at = 0; at < operations; at++) {
      const verb = this.#one(verbs);
      const weather = this.#weather();
      try {
        await this.#step(verb, weather);
        if ((at + 1) % checkEvery === 0) await this.#calm();
      } catch (error) {
        const said = error instanceof Error ? (error.stack ?? error.message) : String(error);
        throw new Error(`operation ${at} (${verb}, ${JSON.stringify(weather)}): ${said}`, { cause: error });
      }
    }
    await this.#calm();
    for (const id of this.#model.keys()) await this.#restored(id);
    return this.figures;
  }

  #one<T>(list: readonly T[]): T {
    return list[Math.floor(this.#draw() * list.length)];
  }

  #weather(): Weather {
    if (this.#draw() < 0.15) return { away: Math.floor(this.#draw() * 40) };
    return this.#one(weathers);
  }

  async #step(verb: Verb, weather: Weather): Promise<void> {
    const { proxy } = this.#world;
    proxy.set(weather, Math.floor(this.#draw() * 2 ** 31));
    const outcome = await this.#perform(verb);
    this.#count(outcome);
    const struck = new Map(proxy.struck);
    proxy.set({}, 0);
    if (outcome.error) judgeError(outcome.error, struck);
    await this.#compareWithTruth(outcome);
  }

  async #perform(verb: Verb): Promise<Outcome> {
    try {
      return await this.#verb(verb);
    } catch (error) {
      if (error instanceof HoldfastError) return { error };
      throw error;
    }
  }

  async #verb(verb: Verb): Promise<Outcome> {
    const { uses } = this.#world;
    switch (verb) {
      case 'backup':
        return await this.#backup(this.#one(sources));
      case 'forget':
        return await this.#forget();
      case 'prune':
        await repoPrune.run({ repository: 'cloud', dryRun: false, maxUnused: 0 }, uses);
        return {};
      case 'check': {
        const found = await repoCheck.run({ repository: 'cloud', readData: this.#draw() < 0.5 }, uses);
        const [first] = found.errors;
        return first ? { error: { code: 'repository.damaged', ...first } } : {};
      }
      case 'restore': {
        const ids = [...this.#model.keys()];
        if (ids.length > 0) await this.#restored(this.#one(ids));
        return {};
      }
    }
  }

  async #backup(source: SourceName): Promise<Outcome> {
    const content = this.#world.change(source, this.#draw);
    const request = backup.input.parse({ sources: [source] });
    const { results } = await backup.run(request, this.#world.uses);
    const [{ snapshot, error }] = results;
    return { content, stored: snapshot, error };
  }

  async #forget(): Promise<Outcome> {
    // Of the newest of each source two thirds are protected; the others are as good as any.
    const ids = [...this.#model.keys()].slice(0, -3);
    const going = ids.length === 0 ? [] : [this.#one(ids)];
    if (going.length === 0) return {};
    try {
      const request = forget.input.parse({ targets: going, repository: 'cloud' });
      const { decisions } = await forget.run(request, this.#world.uses);
      return { going, gone: decisions.filter((one) => !one.keep).map((one) => one.snapshot) };
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      return error.code === 'snapshot.protected' ? {} : { going, error };
    }
  }

  async #restored(id: string): Promise<void> {
    const target = mkdtempSync(join(this.#world.folder, 'restore-'));
    const to = join(target, 'here');
    try {
      const request = restore.input.parse({ snapshot: id, repository: 'cloud', to });
      await restore.run(request, this.#world.uses);
      const source = sources.map((name) => join(to, this.#world.folder, name)).find((place) => holds(place));
      requireEqual(source === undefined ? new Map() : contentOf(source), this.#model.get(id)!, id);
      this.figures.restoresCompared++;
    } finally {
      rmSync(target, { recursive: true, force: true });
    }
  }

  #count({ error }: Outcome): void {
    const { figures } = this;
    figures.operations++;
    figures.requests += this.#world.proxy.requests;
    for (const [storm, times] of this.#world.proxy.struck) add(figures.struck, storm, times);
    if (error) add(figures.errors, error.code, 1);
    if (error) figures.failed++;
    else figures.completed++;
  }

  /** What lies in the bucket, seen past the storm, against what was said. */
  async #compareWithTruth({ stored, content, going = [], gone = [] }: Outcome): Promise<void> {
    const there = new Set<string>();
    for await (const { name } of this.#world.truth.list('snapshots')) there.add(name.slice('snapshots/'.length));
    if (stored !== undefined && !there.has(stored))
      throw new Error(`snapshot ${stored} was reported and is not stored`);
    for (const id of gone) if (there.has(id)) throw new Error(`snapshot ${id} was reported as removed and is there`);
    for (const id of this.#model.keys()) {
      if (there.has(id)) continue;
      if (!going.includes(id)) throw new Error(`snapshot ${id} is lost`);
      this.#model.delete(id);
    }
    for (const id of there) if (!this.#model.has(id)) await this.#newcomer(id, content);
  }

  /** Stored, whether or not the answer arrived: then it must be whole. */
  async #newcomer(id: string, content: Content | undefined): Promise<void> {
    if (isState(await loadSnapshot(this.#world.repository, id))) return;
    if (content === undefined) throw new Error(`snapshot ${id} came from nowhere`);
    this.#model.set(id, content);
  }

  /** Without faults everything works again by itself, and all is sound. */
  async #calm(): Promise<void> {
    const { uses, proxy } = this.#world;
    proxy.set({}, 0);
    const outcome = await this.#backup(this.#one(sources));
    if (outcome.error) throw new Error(`in calm weather a backup fails: ${outcome.error.message}`);
    await this.#compareWithTruth(outcome);
    const { errors } = await repoCheck.run({ repository: 'cloud', readData: true }, uses);
    if (errors.length > 0) throw new Error(`the repository has errors: ${errors.map((one) => one.message).join('; ')}`);
    const ids = [...this.#model.keys()];
    for (const id of [ids[0], this.#one(ids)]) await this.#restored(id);
  }
}

/** A bit that flipped once is read again; damage may be said only of what came wrong twice. */
function judgeError(error: NonNullable<Outcome['error']>, struck: ReadonlyMap<Storm, number>): void {
  const corrupted = (struck.get('flip') ?? 0) + (struck.get('cut') ?? 0);
  if (error.code === 'repository.damaged' && corrupted >= 2) return;
  // A lock is looked at four times before it is said to be unreadable.
  if (error.code === 'repository.locked' && corrupted >= 4) return;
  if (retryable.has(error.code) && error.remedy !== '') return;
  throw new Error(`an error that says nothing of trying again: ${error.code}: ${error.message} — ${error.remedy}`);
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

function add<K>(counts: Map<K, number>, key: K, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}
