/**
 * Which queued runs may begin now, and why the others wait. Oldest first; one that cannot begin yet is passed by younger
 * ones, until it has waited for `reserveAfterMs`: then what it waits for is kept free for it, so that nothing waits for ever.
 */
import type { RunKind } from '../model/run-record.ts';
import type { RunLimits, Touched } from './run-plan.ts';

export interface Candidate {
  readonly id: string;
  readonly kind: RunKind;
  readonly source?: string;
  readonly host: string;
  readonly touches: readonly Touched[];
  /** What stands still while it goes on: it has that to itself. */
  readonly stops: readonly string[];
  /** Since when it could begin, if nothing stood in its way. */
  readonly readyMs: number;
  /** What else it waits for: its time, its window, those who come first. */
  readonly waits?: string;
}

export interface Admission {
  /** In the order of beginning. */
  readonly admitted: readonly string[];
  /** By id: one clause that follows «waits because». */
  readonly waiting: ReadonlyMap<string, string>;
}

/** Longer than this, a run waits for nobody younger. */
export const reserveAfterMs = 10 * 60_000;

/** `running`: admitted and not ended. `queued`: in any order. */
export function admit(
  queued: readonly Candidate[],
  running: readonly Candidate[],
  { limits, nowMs }: { readonly limits: RunLimits; readonly nowMs: number },
): Admission {
  const taken = new Taken(limits);
  for (const run of running) taken.take(run);
  let count = running.length;
  const admitted: string[] = [];
  const waiting = new Map<string, string>();
  for (const run of queued.toSorted(byAge)) {
    const refusal = taken.refusal(run);
    const reason = run.waits ?? refusal?.reason ?? tooMany(count, limits);
    if (reason === undefined) {
      admitted.push(run.id);
      taken.take(run);
      count++;
      continue;
    }
    waiting.set(run.id, reason);
    if (run.waits !== undefined || nowMs - run.readyMs < reserveAfterMs) continue;
    if (refusal?.keeps === 'places') taken.take(run, { reserved: true });
    if (refusal?.keeps === 'stops') taken.keepStill(run);
  }
  return { admitted, waiting };
}

function byAge(a: Candidate, b: Candidate): number {
  return a.readyMs - b.readyMs || (a.id < b.id ? -1 : 1);
}

function tooMany(count: number, { runs }: RunLimits): string | undefined {
  return count < runs ? undefined : `${runs} ${runs === 1 ? 'run is' : 'runs are'} going on, which is the limit`;
}

interface Refusal {
  readonly reason: string;
  /** What is kept free for it. Where something works on the same source that has to end first, nothing would help. */
  readonly keeps: 'places' | 'stops' | 'nothing';
}

interface Use {
  runs: number;
  alone: boolean;
  checked: boolean;
  reserved: boolean;
}

/** Places that are in use, or kept free for an older run. */
class Taken {
  readonly #limits: RunLimits;
  readonly #sources = new Set<string>();
  readonly #hosts = new Map<string, number>();
  readonly #repositories = new Map<string, Use>();
  readonly #stops = new Set<string>();

  constructor(limits: RunLimits) {
    this.#limits = limits;
  }

  take(run: Candidate, { reserved = false } = {}): void {
    const { source, host, touches } = run;
    this.keepStill(run);
    if (source !== undefined) {
      if (!reserved) this.#sources.add(source);
      this.#hosts.set(host, (this.#hosts.get(host) ?? 0) + 1);
    }
    for (const { repository, mode } of touches) {
      const use = this.#useOf(repository);
      use.runs++;
      use.alone ||= mode === 'alone';
      use.checked ||= mode === 'checked';
      use.reserved ||= reserved;
      this.#repositories.set(repository, use);
    }
  }

  /** Nobody younger stops the same before it. */
  keepStill({ stops }: Candidate): void {
    for (const stop of stops) this.#stops.add(stop);
  }

  refusal({ source, host, touches, stops }: Candidate): Refusal | undefined {
    if (source !== undefined && this.#sources.has(source)) {
      return { reason: `something else is being done with ${source}`, keeps: 'nothing' };
    }
    const still = stops.find((stop) => this.#stops.has(stop));
    if (still !== undefined) return { reason: `another backup stops ${still}, too`, keeps: 'stops' };
    if (source !== undefined && (this.#hosts.get(host) ?? 0) >= this.#limits.perHost) {
      return { reason: `the host ${host} has as many runs as it may have`, keeps: 'places' };
    }
    for (const touched of touches) {
      const reason = this.#repositoryRefuses(touched);
      if (reason !== undefined) return { reason, keeps: 'places' };
    }
    return undefined;
  }

  #useOf(repository: string): Use {
    return this.#repositories.get(repository) ?? { runs: 0, alone: false, checked: false, reserved: false };
  }

  #repositoryRefuses({ repository, mode }: Touched): string | undefined {
    const use = this.#useOf(repository);
    const older = use.reserved ? ', and another run has waited for it for longer' : '';
    if (use.alone) return `${repository} is being pruned${older}`;
    if (mode === 'alone' && use.runs > 0) return `${repository} is in use, and is needed alone${older}`;
    if (mode === 'checked' && use.checked) return `${repository} is being checked${older}`;
    return use.runs >= this.#limits.perRepository ? `${repository} has as many runs as it may have${older}` : undefined;
  }
}
