/**
 * One run of random operations under random weather, judged after every step: what the program said it stored is stored, what
 * it did not remove is there, what it restores is exact, and every failure is one that a person can act on.
 */
import { HoldfastError } from '../../src/base/errors.ts';
import { backup } from '../../src/operations/backup/backup.ts';
import { repoCheck, repoPrune } from '../../src/operations/repositories/repo.ts';
import { forget } from '../../src/operations/snapshots/forget.ts';
import { seededRandom } from '../../src/storage/fault-plan.ts';
import type { Storm, Weather } from '../servers/storm-proxy.ts';
import { type CopyVerb, copyVerbs, StormCopies } from './storm-copies.ts';
import { Ledger, type Said } from './storm-ledger.ts';
import { type Content, type SourceName, type StormWorld, sources } from './storm-world.ts';

export interface StormFigures {
  operations: number;
  completed: number;
  failed: number;
  requests: number;
  struck: Map<Storm, number>;
  /** Of `operations`. */
  copies: number;
  copiesCompleted: number;
  /** Of those that failed: what they had stored until then was found, and not sent again. */
  copiesResumed: number;
  /** By code. */
  errors: Map<string, number>;
  copyErrors: Map<string, number>;
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
const ownVerbs = ['backup', 'backup', 'backup', 'forget', 'prune', 'check', 'restore', 'restore'] as const;
/** How often each of the copies stands beside these. */
const copyWeight = Number(process.env.STORM_COPIES ?? 1);
const verbs: readonly Verb[] = [...ownVerbs, ...copyVerbs.flatMap((verb) => Array<CopyVerb>(copyWeight).fill(verb))];
/** What a failure may be, when the storage is bad: trying again later is what helps. */
const retryable = new Set(['storage.unreachable', 'storage.io']);
const checkEvery = 25;

function breeze(share: number): Weather {
  const same = ['drop-before', 'drop-amid', 'drop-after', 'delay', 'refuse', 'lose', 'tear'] as const;
  return { ...Object.fromEntries(same.map((storm) => [storm, share])), cut: share / 4, flip: share / 4 };
}

type OwnVerb = (typeof ownVerbs)[number];
type Verb = OwnVerb | CopyVerb;

/** What a step says of itself. */
interface Outcome extends Said {
  readonly error?: { readonly code: string; readonly message: string; readonly remedy: string };
}

export class StormRun {
  readonly figures: StormFigures = {
    operations: 0,
    completed: 0,
    failed: 0,
    requests: 0,
    struck: new Map(),
    copies: 0,
    copiesCompleted: 0,
    copiesResumed: 0,
    errors: new Map(),
    copyErrors: new Map(),
    restoresCompared: 0,
  };
  readonly #world: StormWorld;
  readonly #draw: () => number;
  readonly #cloud: Ledger;
  readonly #shelf: Ledger;
  readonly #copies: StormCopies;

  constructor(world: StormWorld, seed: number) {
    this.#world = world;
    this.#draw = seededRandom(seed);
    const contents = new Map<string, Content>();
    this.#cloud = new Ledger('cloud', world.repository, world, contents);
    this.#shelf = new Ledger('shelf', world.shelf, world, contents);
    this.#copies = new StormCopies(world, { cloud: this.#cloud, shelf: this.#shelf }, this.#draw);
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
    // What the shelf got was restored from there as it came.
    for (const id of this.#cloud.model.keys()) await this.#cloud.restored(id);
    return { ...this.figures, restoresCompared: this.#cloud.restoresCompared + this.#shelf.restoresCompared };
  }

  #one<T>(list: readonly T[]): T {
    return list[Math.floor(this.#draw() * list.length)];
  }

  #weather(): Weather {
    if (this.#draw() < 0.15) return { away: Math.floor(this.#draw() * 40) };
    return this.#one(weathers);
  }

  async #step(verb: Verb, weather: Weather): Promise<void> {
    if (verb === 'copy-out' || verb === 'copy-in') return await this.#copyStep(verb, weather);
    await this.#cloud.compare(await this.#amid(weather, () => this.#verb(verb)));
  }

  /** Bad weather from the start seldom lets a copy come to where it has half done its work. */
  #since(verb: CopyVerb, weather: Weather): Weather {
    if (this.#draw() < 0.4) return weather;
    // Not a service that lies and then is away: what it stored in part can be neither seen nor removed.
    const kind = this.#draw() < 0.5 ? { away: Math.floor(this.#draw() * 6) } : weather;
    const folder = verb === 'copy-out' ? 'data' : this.#one(['data', 'index', 'snapshots', 'holdfast/pins']);
    const method = verb === 'copy-out' ? 'GET' : 'PUT';
    return { ...kind, since: `${method} /storm/repository/${folder}/` };
  }

  async #copyStep(verb: CopyVerb, weather: Weather): Promise<void> {
    const { figures } = this;
    const order = await this.#copies.order(verb);
    const { error, stored = [] } = await this.#amid(this.#since(verb, weather), () => this.#copies.copy(order));
    figures.copies++;
    if (error) add(figures.copyErrors, error.code, 1);
    else figures.copiesCompleted++;
    if (await this.#copies.settle(order, { error, stored })) figures.copiesResumed++;
  }

  /** What it says when the weather is like that. */
  async #amid(weather: Weather, run: () => Promise<Outcome>): Promise<Outcome> {
    const { proxy } = this.#world;
    proxy.set(weather, Math.floor(this.#draw() * 2 ** 31));
    const outcome = await perform(run);
    this.#count(outcome);
    const struck = new Map(proxy.struck);
    proxy.set({}, 0);
    if (outcome.error) judgeError(outcome.error, struck);
    return outcome;
  }

  async #verb(verb: OwnVerb): Promise<Outcome> {
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
        const ids = [...this.#cloud.model.keys()];
        if (ids.length > 0) await this.#cloud.restored(this.#one(ids));
        return {};
      }
    }
  }

  async #backup(source: SourceName): Promise<Outcome> {
    const content = this.#world.change(source, this.#draw);
    const request = backup.input.parse({ sources: [source] });
    const { results } = await backup.run(request, this.#world.uses);
    const [{ snapshot, error }] = results;
    return { content, stored: snapshot === undefined ? [] : [snapshot], error };
  }

  async #forget(): Promise<Outcome> {
    // Of the newest of each source two thirds are protected; the others are as good as any.
    const ids = [...this.#cloud.model.keys()].slice(0, -3);
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

  #count({ error }: Outcome): void {
    const { figures } = this;
    figures.operations++;
    figures.requests += this.#world.proxy.requests;
    for (const [storm, times] of this.#world.proxy.struck) add(figures.struck, storm, times);
    if (error) add(figures.errors, error.code, 1);
    if (error) figures.failed++;
    else figures.completed++;
  }

  /** Without faults everything works again by itself, and all is sound. */
  async #calm(): Promise<void> {
    const outcome = await this.#backup(this.#one(sources));
    if (outcome.error) throw new Error(`in calm weather a backup fails: ${outcome.error.message}`);
    await this.#cloud.compare(outcome);
    for (const ledger of [this.#cloud, this.#shelf]) await this.#sound(ledger);
  }

  async #sound(ledger: Ledger): Promise<void> {
    const { errors } = await repoCheck.run({ repository: ledger.name, readData: true }, this.#world.uses);
    const said = errors.map((one) => one.message).join('; ');
    if (errors.length > 0) throw new Error(`the repository ${ledger.name} has errors: ${said}`);
    const ids = [...ledger.model.keys()];
    if (ids.length > 0) for (const id of [ids[0], this.#one(ids)]) await ledger.restored(id);
  }
}

async function perform(run: () => Promise<Outcome>): Promise<Outcome> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof HoldfastError) return { error };
    throw error;
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

function add<K>(counts: Map<K, number>, key: K, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}
