/**
 * Faults of every kind at random moments of backups, and what is true after each: no snapshot appeared that is not exact,
 * the error says what to do, and no process, lock, session or temporary file is left, here or there.
 * FAULTS=100: how many in each suite.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import type { StoredSource } from '../../src/drivers/check.ts';
import { fingerprintIn, withCopy } from '../../src/drivers/conformance/case.ts';
import type { AnyDriver, SourceContext } from '../../src/drivers/driver.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import { program } from '../e2e/trial.ts';
import { compiled } from '../support/cheap-repository.ts';
import { type FaultPlace, openFaultPlace } from './fault-place.ts';

const count = Number(process.env.FAULTS ?? 3);

export interface Fault {
  /** When it strikes: at a random moment, or before the backup begins. */
  readonly when?: 'before';
  strike(): void | Promise<void>;
}

/** A running source under attack, made anew for every fault. */
export interface Victim extends AsyncDisposable {
  /** Connects, where it is on another host. */
  source(): Promise<SourceContext<unknown>>;
  /** Closes what `source` connected. */
  disconnect?(): Promise<void>;
  /** The same source in a configuration. */
  readonly declared: { readonly source: object; readonly hosts?: object };
  readonly faults: Readonly<Record<string, Fault>>;
  /** What the backup left at the source (sessions, locks, processes), a word each; also says so if the source takes no writes. */
  leftovers(): Promise<readonly string[]>;
}

export interface FaultSuite {
  readonly title: string;
  readonly driver: AnyDriver;
  open(place: FaultPlace): Promise<Victim>;
  close?(): Promise<void>;
}

type Outcome = { readonly stored: StoredSource | undefined; readonly error?: unknown };

export function describeFaults({ title, driver, open, close }: FaultSuite): void {
  describe(title, () => {
    let place: FaultPlace;
    beforeAll(async () => {
      place = await openFaultPlace(driver);
    });
    afterAll(async () => {
      await close?.();
      await place?.[Symbol.asyncDispose]();
    });

    test(`${count} faults at random moments leave no snapshot that is not whole, and nothing else`, async () => {
      const suite = new Attack(place, driver, open);
      await suite.measure();
      const kinds = await suite.kinds();
      const tally: Record<string, { struck: number; refused: number }> = {};
      for (let i = 0; i < count; i++) {
        // So that few faults are of other kinds in every run.
        const kind = kinds[(i + suite.offset) % kinds.length];
        const refused = await suite.round(kind);
        tally[kind] ??= { struck: 0, refused: 0 };
        tally[kind].struck++;
        if (refused) tally[kind].refused++;
      }
      const told = Object.entries(tally).map(([kind, { struck, refused }]) => `${kind} ${refused} of ${struck}`);
      console.log(`${title}: backups ended by ${told.join(', ')}; the others were done before, and proven`);
    }, 3_600_000);
  });
}

const killed = 'kill -9 of holdfast';
const fullDisk = 'a full disk';

class Attack {
  readonly offset = Math.floor(Math.random() * 100);
  readonly #place: FaultPlace;
  readonly #driver: AnyDriver;
  readonly #open: (place: FaultPlace) => Promise<Victim>;
  /** What a whole backup takes, in this process and as a program. */
  #hereMs = Number.POSITIVE_INFINITY;
  #programMs = 0;

  constructor(place: FaultPlace, driver: AnyDriver, open: (place: FaultPlace) => Promise<Victim>) {
    this.#place = place;
    this.#driver = driver;
    this.#open = open;
  }

  async kinds(): Promise<readonly string[]> {
    await using victim = await this.#open(this.#place);
    return [...Object.keys(victim.faults), ...(this.#place.hasDisk ? [fullDisk] : []), killed];
  }

  /** Without a fault there is a snapshot, and it is exact. */
  async measure(): Promise<void> {
    await using victim = await this.#open(this.#place);
    for (let warm = 0; warm < 2; warm++) {
      const startedMs = performance.now();
      const source = await victim.source();
      const stored = await this.#place.bench.backUp(source);
      this.#hereMs = Math.min(this.#hereMs, performance.now() - startedMs);
      await this.#prove(source, stored);
    }
    const programMs = performance.now();
    expect(await this.#run(victim, 'backup')).toBe(0);
    this.#programMs = performance.now() - programMs;
  }

  /** One fault; whether it ended the backup. */
  async round(kind: string): Promise<boolean> {
    const { bench } = this.#place;
    await using victim = await this.#open(this.#place);
    this.#place.remember();
    const before = await bench.countSnapshots();
    const refused = kind === killed ? await this.#kill(victim) : await this.#strike(victim, kind);
    const added = (await bench.countSnapshots()) - before;
    // Killed between its last write and its end, it had done everything: then that has to be true.
    if (kind === killed && refused && added === 1) expect(await this.#run(victim, 'drill')).toBe(0);
    else expect(added, `${kind}: snapshots`).toBe(refused ? 0 : 1);
    if (kind === killed || kind === fullDisk) {
      const source = await victim.source();
      await this.#prove(source, await bench.backUp(source));
    }
    await victim.disconnect?.();
    await expect.poll(() => this.#left(victim), { message: kind, timeout: 20_000, interval: 100 }).toEqual([]);
    return refused;
  }

  async #left(victim: Victim): Promise<readonly string[]> {
    return [...this.#place.leftovers(), ...(await victim.leftovers())];
  }

  async #strike(victim: Victim, kind: string): Promise<boolean> {
    const fault: Fault = victim.faults[kind] ?? { strike: () => this.#place.fillDisk() };
    if (fault.when === 'before') await fault.strike();
    const waiting = new AbortController();
    let source: SourceContext<unknown> | undefined;
    const backUp = async (): Promise<Outcome> => {
      try {
        source = await victim.source();
        return { stored: await this.#place.bench.backUp(source) };
      } catch (error) {
        return { stored: undefined, error };
      } finally {
        waiting.abort();
      }
    };
    const running = backUp();
    if (fault.when !== 'before') {
      await setTimeout(Math.random() * this.#hereMs, undefined, { signal: waiting.signal }).catch(() => {});
      await fault.strike();
    }
    const { stored, error } = await running;
    if (kind === fullDisk) this.#place.freeDisk();
    if (stored) {
      await this.#prove(source!, stored);
      return false;
    }
    expect(error, kind).toBeInstanceOf(HoldfastError);
    const { code, message, remedy } = error as HoldfastError;
    expect(code, `${kind}: ${message}`).not.toBe('internal');
    expect(remedy.length, `${kind}: ${message}`).toBeGreaterThan(10);
    return true;
  }

  async #kill(victim: Victim): Promise<boolean> {
    return (await this.#run(victim, 'backup', Math.random() * this.#programMs)) !== 0;
  }

  /** Its status; null if it was killed. */
  async #run(
    { declared }: Victim,
    command: 'backup' | 'drill',
    killAfterMs = Number.POSITIVE_INFINITY,
  ): Promise<number | null> {
    const { configure, folder, temporary } = this.#place;
    const { PATH, LANG } = process.env;
    const child = spawn(program, ['--config', configure(declared), command, 'trial'], {
      env: { PATH, LANG, HOME: folder, TMPDIR: temporary, ...compiled },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        said += chunk.toString();
      });
    }
    const closed = once(child, 'close') as Promise<[number | null]>;
    if (Number.isFinite(killAfterMs)) {
      await Promise.race([setTimeout(killAfterMs), closed]);
      child.kill('SIGKILL');
    }
    const [status] = await closed;
    if (status !== null) expect(status, said).toBe(0);
    return status;
  }

  async #prove(source: SourceContext<unknown>, stored: StoredSource): Promise<void> {
    const healthy = { ...source, host: localHost() };
    const ctx = { driver: this.#driver, source: healthy, bench: this.#place.bench };
    await using opened = await stored.open();
    const fingerprint = await fingerprintIn(opened.contents, '/.holdfast/fingerprint.json');
    const checks = await withCopy(ctx, opened.contents, (copy) => copy.compare(fingerprint));
    expect(checks.length).toBeGreaterThan(0);
    expect(checks.filter(({ ok }) => !ok)).toEqual([]);
  }
}
