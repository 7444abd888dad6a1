/**
 * The one configuration a server works with: the file, what was made over the API, what labels of containers declare.
 *
 *     file ──────────┐
 *    API's entries ──┼─▶ one Config, checked as a whole ─▶ in use ─▶ config.changed
 *     labels ────────┘        └─ errors in the file: the one before stays ─▶ config.refused
 *
 * An entry of the API or of a label that is wrong is left out and told of; it never keeps the rest from being used. But a
 * file that would put an entry of the API out of use is refused like one with errors: nobody meant that.
 */
import { resolve } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { HoldfastError, hasCode, messageOf } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import { type Listening, listenFor } from '../../catalogue/wake.ts';
import {
  type Config,
  ConfigError,
  compareConfigs,
  type Declared,
  type Difference,
  formatProblem,
  type Known,
  keyOf,
  type Problem,
  parseConfig,
  readConfigFile,
} from '../../config/index.ts';
import type { RepositoryAccess } from '../operation.ts';
import { needRestart } from './describe-difference.ts';
import { comparable, digestOf, type InUse, parseInUse, readInUse, recordInUse } from './in-use.ts';
import {
  asDeclared,
  objectRevision,
  objectsNews,
  readObjects,
  readStoredSecret,
  storedSecretNames,
} from './objects/object-rows.ts';
import { openSealing, type Sealing } from './sealing.ts';
import { tellChanged, tellLeftOut, tellRefused } from './tell.ts';
import { FileWatch } from './watch-file.ts';

export interface StoreUses extends Pick<RepositoryAccess, 'env' | 'localHost'> {
  readonly file: string;
  readonly known: Known;
  /** What the file was read as a moment ago: with ten thousand sources, reading it once more takes seconds. */
  readonly parsed?: Config;
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly log: Log;
  /** Somebody else tells what changed, and remembers it: of several who follow the same, the server does. */
  readonly isQuiet?: boolean;
  /** What labels declare now, asked where `server: labels:` is true; absent where no containers are looked at. */
  readonly readLabels?: () => Promise<LabelReading>;
}

export interface LabelReading {
  readonly declared: readonly Declared[];
  readonly problems: readonly Problem[];
}

export interface Reload {
  readonly outcome: 'unchanged' | 'changed' | 'refused';
  readonly differences: readonly Difference[];
  /** Why it was refused. */
  readonly problems: readonly Problem[];
  readonly message?: string;
  /** Settings that only count after a restart: `server.listen`. */
  readonly restart: readonly string[];
}

const lookEveryMs = 5000;
/** An editor may write in several steps: what is read has to be the same after this long. */
const settleMs = 300;
const labelsEveryMs = 180_000;
const unchanged: Reload = { outcome: 'unchanged', differences: [], problems: [], restart: [] };

interface Read {
  readonly config: Config;
  /** Without what labels declare: what the file and the API make of it. */
  readonly own: Config;
  /** Of the file. */
  readonly digest: string;
  readonly declared: readonly Declared[];
}

export class ConfigStore {
  readonly #uses: StoreUses;
  #sealing: Promise<Sealing> | undefined;
  readonly #listeners = new Set<(reload: Reload, config: Config) => void>();
  #current: Read;
  #labels: LabelReading = { declared: [], problems: [] };
  #absentOnce: ReadonlySet<string> = new Set();
  #toldOut = '';
  #refused: { readonly digest: string; readonly reload: Reload } | undefined;
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(uses: StoreUses, current: Read) {
    this.#uses = uses;
    this.#current = current;
  }

  /** `config.missing`, `config.invalid`; `secret.unavailable` if secrets are stored and the key they are sealed with is not there. */
  static async open(uses: StoreUses): Promise<ConfigStore> {
    const file = resolve(uses.file);
    const bytes = await readConfigFile(uses.file);
    const config = isOf(uses.parsed, bytes) ? uses.parsed : parseConfig(file, bytes, uses.known, { shown: uses.file });
    const store = new ConfigStore({ ...uses, file }, { config, own: config, digest: digestOf(bytes), declared: [] });
    if ((await storedSecretNames(uses.catalogue)).size > 0) await store.sealing();
    await store.#readLabels();
    store.#current = await store.#read(bytes);
    await store.#rememberFirst();
    return store;
  }

  /** As it is now. */
  get config(): Config {
    return this.#current.config;
  }

  /** Why the file as it is now is not in use; `undefined` if it is. */
  get refused(): Reload | undefined {
    return this.#refused?.reload;
  }

  /** What is wrong with labels, besides what `config.leftOut` says. */
  get labelProblems(): readonly Problem[] {
    return this.#labels.problems;
  }

  /** The server's key, read when it is first needed; when that fails, again at the next need. */
  async sealing(): Promise<Sealing> {
    this.#sealing ??= openSealing({ ...this.#uses, config: this.#current.config });
    const opening = this.#sealing;
    try {
      return await opening;
    } catch (error) {
      if (this.#sealing === opening) this.#sealing = undefined;
      throw error;
    }
  }

  /** Is called after each change and each refusal; gives what takes it back. */
  onReload(listener: (reload: Reload, config: Config) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Reads everything again, labels too. One at a time, in order. */
  async reload(): Promise<Reload> {
    return await this.#inTurn(async () => {
      await this.#readLabels();
      return await this.#readAgain();
    });
  }

  /** Keeps it current until the signal is aborted. A fault (the catalogue is away) is logged, and tried again at the next look. */
  async follow(signal: AbortSignal): Promise<void> {
    const { catalogue, clock, file, log } = this.#uses;
    using watch = new FileWatch(file, clock);
    using listening = listenFor(catalogue, objectsNews, clock);
    // The first look always reads: something may have changed since the start.
    let seen = { file: '', objects: '', labelsMs: clock.monotonicMs() };
    while (!signal.aborted) {
      await eitherOf(watch, listening, signal).catch(ifStopped);
      if (signal.aborted) return;
      try {
        const now = await this.#settled(watch, signal);
        const labelsAreDue = clock.monotonicMs() - seen.labelsMs >= labelsEveryMs;
        if (now.file === seen.file && now.objects === seen.objects && !labelsAreDue) continue;
        await this.#inTurn(async () => {
          if (labelsAreDue) await this.#readLabels();
          await this.#readAgain();
        });
        seen = { ...now, labelsMs: labelsAreDue ? clock.monotonicMs() : seen.labelsMs };
      } catch (error) {
        if (signal.aborted) return;
        log.error({ file, error: messageOf(error) }, 'the configuration could not be looked at');
      }
    }
  }

  async #settled(watch: FileWatch, signal: AbortSignal): Promise<{ file: string; objects: string }> {
    for (let before = await watch.look(); ; ) {
      await this.#uses.clock.sleep(settleMs, { signal, background: true });
      const file = await watch.look();
      if (file === before) return { file, objects: await objectRevision(this.#uses.catalogue) };
      before = file;
    }
  }

  async #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const turn = this.#queue.then(work);
    this.#queue = turn.catch(() => undefined);
    return await turn;
  }

  async #readAgain(): Promise<Reload> {
    let digest = 'unreadable';
    try {
      const bytes = await readConfigFile(this.#uses.file);
      digest = digestOf(bytes);
      let next = await this.#read(bytes);
      const { labels } = next.config.server;
      if (labels !== this.#current.config.server.labels) {
        await this.#readLabels(labels);
        next = await this.#read(bytes);
      }
      this.#requireNothingLost(next);
      return await this.#take(next);
    } catch (error) {
      if (!hasCode(error, 'config.invalid', 'config.missing')) throw error;
      return await this.#refuse(error as HoldfastError, digest);
    }
  }

  async #read(bytes: Uint8Array): Promise<Read> {
    const { catalogue, known, file } = this.#uses;
    const [objects, names] = await Promise.all([readObjects(catalogue), storedSecretNames(catalogue)]);
    const made = objects.map(asDeclared);
    const taken = new Set(made.map(keyOf));
    const declared = [...made, ...this.#labels.declared.filter((one) => !taken.has(keyOf(one)))];
    const { parsed } = this.#uses;
    // Nothing but the file, as it was read before, and nothing in it that only a server can read.
    const isPlain = declared.length === 0 && names.size === 0 && !Buffer.from(bytes).includes('stored');
    if (isPlain && isOf(parsed, bytes) && parsed.origins.size === 0) {
      return { config: parsed, own: parsed, digest: digestOf(bytes), declared };
    }
    const stored = (name: string) => (names.has(name) ? () => this.#openStored(name) : undefined);
    const all = { ...known, secrets: { ...known.secrets, stored } };
    const own = parseConfig(file, bytes, all, { declared: made });
    const config = declared.length > made.length ? parseConfig(file, bytes, all, { declared }) : own;
    return { config, own, digest: digestOf(bytes), declared };
  }

  async #openStored(name: string) {
    const secret = await readStoredSecret(this.#uses.catalogue, name, await this.sealing());
    if (secret) return secret;
    throw new HoldfastError({
      code: 'secret.unavailable',
      message: `the stored secret ${name} was removed`,
      remedy: 'Give the secret once more.',
    });
  }

  /** A container that is gone for one look only is being made anew: it is missed at the second. */
  async #readLabels(wanted = this.#current.config.server.labels): Promise<void> {
    if (!this.#uses.readLabels || !wanted) {
      this.#labels = { declared: [], problems: [] };
      return;
    }
    try {
      const read = await this.#uses.readLabels();
      const there = new Set(read.declared.map(keyOf));
      const absent = this.#labels.declared.filter((one) => !there.has(keyOf(one)));
      const kept = absent.filter((one) => !this.#absentOnce.has(keyOf(one)));
      this.#absentOnce = new Set(absent.map(keyOf));
      this.#labels = { ...read, declared: [...read.declared, ...kept] };
    } catch (error) {
      // What they said last still holds: an engine that does not answer is no reason to back less up. But it is told.
      if (!(error instanceof HoldfastError) || !hasCode(error, 'host.unreachable', 'host.command-failed')) throw error;
      this.#uses.log.warn({ error: error.message }, 'labels of containers could not be read');
      const { message, remedy } = error;
      const at = { file: 'labels', line: 0, column: 0, path: '' };
      this.#labels = { ...this.#labels, problems: [{ level: 'error', ...at, message, remedy }] };
    }
  }

  #requireNothingLost(next: Read): void {
    if (next.digest === this.#current.digest) return;
    const lost = next.declared.filter((one) => {
      const wasInUse = this.#current.config.origins.get(keyOf(one)) === 'ui';
      const entries: ReadonlyMap<string, unknown> = next.config[one.section as 'sources'];
      return wasInUse && !entries.has(one.name);
    });
    if (lost.length === 0) return;
    const problems = next.config.leftOut.filter((problem) => lost.some((one) => problem.file === one.title));
    throw new ConfigError(this.#uses.file, problems);
  }

  async #take(next: Read): Promise<Reload> {
    const differences = compareConfigs(this.#current.config, next.config);
    // Written down first: if that fails, the one before stays in use, and the next look tries again.
    await this.#tellLeftOut(next.config);
    if (next.digest !== this.#current.digest || differences.length > 0) await this.#remember(next);
    if (differences.length > 0 && !this.#uses.isQuiet) await tellChanged(this.#uses, differences);
    this.#current = next;
    this.#refused = undefined;
    if (differences.length === 0) return unchanged;
    const reload: Reload = { outcome: 'changed', differences, problems: [], restart: needRestart(differences) };
    for (const listener of this.#listeners) listener(reload, next.config);
    return reload;
  }

  async #refuse(error: HoldfastError, digest: string): Promise<Reload> {
    if (this.#refused?.digest === digest) return this.#refused.reload;
    const problems = error instanceof ConfigError ? error.problems.filter((one) => one.level === 'error') : [];
    const message = error.message.split('\n')[0];
    if (this.#uses.isQuiet) this.#uses.log.warn({ message }, 'the changed configuration is not used');
    else await tellRefused(this.#uses, { error, digest, problems });
    const reload: Reload = { outcome: 'refused', differences: [], problems, message, restart: [] };
    this.#refused = { digest, reload };
    for (const listener of this.#listeners) listener(reload, this.config);
    return reload;
  }

  /** Whenever there are others than before. */
  async #tellLeftOut(config: Config): Promise<void> {
    const lines = [...config.leftOut, ...this.#labels.problems].map(formatProblem);
    const told = lines.join('\n');
    if (told === this.#toldOut || this.#uses.isQuiet) return;
    if (lines.length > 0) await tellLeftOut(this.#uses, lines);
    this.#toldOut = told;
  }

  /** What changed while no server ran is told, too. */
  async #rememberFirst(): Promise<void> {
    if (this.#uses.isQuiet) return;
    const { catalogue, known } = this.#uses;
    const { config, own } = this.#current;
    await this.#tellLeftOut(config);
    const before = await readInUse(catalogue);
    if (before && isAsBefore(before, this.#current)) return;
    const now = comparable(own, known);
    const old = before && parseInUse(before, known);
    const differences = old && now ? compareConfigs(old, now) : [];
    if (differences.length > 0) await tellChanged(this.#uses, differences);
    await this.#remember(this.#current);
  }

  async #remember({ own, digest }: Read): Promise<void> {
    if (this.#uses.isQuiet) return;
    await recordInUse(this.#uses.catalogue, own, { known: this.#uses.known, digest, by: 'server' });
  }
}

function isOf(parsed: Config | undefined, bytes: Uint8Array): parsed is Config {
  return parsed?.bytes !== undefined && Buffer.compare(parsed.bytes, bytes) === 0;
}

/** The same file, and no entries from elsewhere now or then. */
function isAsBefore(before: InUse, { own, digest }: Read): boolean {
  return before.digest === digest && before.file === own.file && before.others === 0 && own.origins.size === 0;
}

/** Something happens to the file, or to entries of the API, or it is time to look. */
async function eitherOf(watch: FileWatch, listening: Listening, signal: AbortSignal): Promise<void> {
  const done = new AbortController();
  const whileWaiting = AbortSignal.any([signal, done.signal]);
  const waits = [watch.wait(lookEveryMs, whileWaiting), listening.wait(lookEveryMs, whileWaiting)];
  try {
    await Promise.race(waits);
  } finally {
    done.abort();
    await Promise.allSettled(waits);
  }
}

function ifStopped(error: unknown): void {
  if (!hasCode(error, 'cancelled')) throw error;
}
