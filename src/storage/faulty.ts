/** A storage that fails on purpose, by a plan: for tests and drills of everything above a storage. */
import { type Clock, systemClock } from '../base/clock.ts';
import { HoldfastError, throwIfCancelled } from '../base/errors.ts';
import type { StorageOperation } from './counting.ts';
import { type Fault, type FaultPlan, type Injection, type Judge, judgeOf, type Strike } from './fault-plan.ts';
import type { ByteRange, PutOptions, Storage, StoredObject } from './storage.ts';

export type { Fault, FaultPlan, FaultRule, Injection } from './fault-plan.ts';

export interface FaultyStorage extends Storage {
  /** What was injected, in the order in which it struck. */
  readonly injected: readonly Injection[];
}

/** One call under way. */
interface Call {
  readonly number: number;
  readonly operation: StorageOperation;
  readonly name: string;
  readonly strikes: readonly Strike[];
  readonly signal?: AbortSignal;
}

/** Wraps `inner`; what is not struck passes unchanged. Give it the same plan and calls, and the same faults happen. */
export function faultyStorage(inner: Storage, plan: FaultPlan): FaultyStorage {
  return new Faulty(inner, plan);
}

class Faulty implements FaultyStorage {
  readonly location: string;
  readonly injected: Injection[] = [];
  readonly #inner: Storage;
  readonly #judge: Judge;
  readonly #clock: Clock;
  readonly #space: Space;
  #calls = 0;

  constructor(inner: Storage, plan: FaultPlan) {
    this.location = inner.location;
    this.#inner = inner;
    this.#judge = judgeOf(plan);
    this.#clock = plan.clock ?? systemClock;
    this.#space = spaceOf(plan.fullAfterBytes ?? Infinity);
  }

  async put(name: string, parts: readonly Uint8Array[], options?: PutOptions): Promise<void> {
    const call = this.#begin('put', name, options?.signal);
    await this.#around(call, () => this.#store(call, parts, options));
  }

  async get(name: string, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    const call = this.#begin('get', name, signal);
    const bytes = await this.#around(call, () => this.#inner.get(name, range, signal));
    this.#flip(call, bytes);
    return bytes;
  }

  async getInto(name: string, offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void> {
    const call = this.#begin('getInto', name, signal);
    await this.#around(call, () => this.#inner.getInto(name, offset, into, signal));
    this.#flip(call, into);
  }

  async stat(name: string, signal?: AbortSignal): Promise<StoredObject | undefined> {
    return this.#around(this.#begin('stat', name, signal), () => this.#inner.stat(name, signal));
  }

  list(folder: string, signal?: AbortSignal): AsyncIterable<StoredObject> {
    return this.#listing(this.#begin('list', folder, signal));
  }

  async delete(name: string, signal?: AbortSignal): Promise<void> {
    await this.#around(this.#begin('delete', name, signal), async () => {
      await this.#inner.delete(name, signal);
      this.#space.take(name, 0);
    });
  }

  async close(): Promise<void> {
    await this.#inner.close();
  }

  #begin(operation: StorageOperation, name: string, signal?: AbortSignal): Call {
    return { number: ++this.#calls, operation, name, strikes: this.#judge(operation, name), signal };
  }

  async #around<T>(call: Call, effect: () => Promise<T>): Promise<T> {
    await this.#before(call);
    const value = await effect();
    this.#failIf(call, 'error-after');
    return value;
  }

  async #before(call: Call): Promise<void> {
    throwIfCancelled(call.signal);
    for (const { fault } of call.strikes) {
      if (fault.kind !== 'slow') continue;
      this.#record(call, 'slow', `${fault.delayMs} ms`);
      await this.#clock.sleep(fault.delayMs, { signal: call.signal });
    }
    this.#failIf(call, 'error-before');
  }

  #failIf(call: Call, kind: 'error-before' | 'error-after'): void {
    const strike = call.strikes.find(({ fault }) => fault.kind === kind);
    if (!strike) return;
    this.#record(call, kind, '');
    throw injectedError(call, strike.fault, this.location);
  }

  async #store(call: Call, parts: readonly Uint8Array[], options?: PutOptions): Promise<void> {
    const bytes = sizeOf(parts);
    const torn = call.strikes.find(({ fault }) => fault.kind.startsWith('torn-'));
    const kept = torn ? Math.floor(torn.random() * bytes) : bytes;
    const undo = this.#space.take(call.name, bytes);
    if (!undo) {
      this.#record(call, 'full', `${bytes} bytes`);
      throw fullError(call.name, this.location);
    }
    try {
      await this.#inner.put(call.name, torn ? firstBytes(parts, kept) : parts, options);
    } catch (error) {
      undo();
      throw error;
    }
    if (!torn) return;
    this.#record(call, torn.fault.kind, `${kept} of ${bytes} bytes`);
    if (torn.fault.kind === 'torn-failure') throw injectedError(call, torn.fault, this.location);
  }

  async *#listing(call: Call): AsyncGenerator<StoredObject> {
    await this.#before(call);
    const listing = this.#inner.list(call.name, call.signal);
    const short = call.strikes.find(({ fault }) => fault.kind === 'short-list');
    if (short) yield* this.#shortened(listing, call, short);
    else yield* listing;
    this.#failIf(call, 'error-after');
  }

  async *#shortened(listing: AsyncIterable<StoredObject>, call: Call, strike: Strike): AsyncGenerator<StoredObject> {
    const share = strike.fault.kind === 'short-list' ? (strike.fault.share ?? 0.5) : 0;
    let left = 0;
    for await (const object of listing) {
      if (left === 0 || strike.random() < share) left++;
      else yield object;
    }
    this.#record(call, 'short-list', `${left} objects left out`);
  }

  #flip(call: Call, bytes: Uint8Array): void {
    for (const { fault, random } of call.strikes) {
      if (fault.kind !== 'bit-flip' || bytes.byteLength === 0) continue;
      const at = Math.floor(random() * bytes.byteLength);
      const bit = Math.floor(random() * 8);
      bytes[at] ^= 1 << bit;
      this.#record(call, 'bit-flip', `bit ${bit} of byte ${at}`);
    }
  }

  #record(call: Call, kind: Injection['kind'], detail: string): void {
    this.injected.push({ call: call.number, operation: call.operation, name: call.name, kind, detail });
  }
}

/** Space on the storage by what went through the wrapper. */
interface Space {
  /** Counts an object as `bytes` long at once, so that concurrent puts share what is left; gives the way back, or nothing if it does not fit. */
  take(name: string, bytes: number): (() => void) | undefined;
}

function spaceOf(limitBytes: number): Space {
  const sizes = new Map<string, number>();
  let total = 0;
  const set = (name: string, bytes: number): void => {
    total += bytes - (sizes.get(name) ?? 0);
    sizes.set(name, bytes);
  };
  return {
    take: (name, bytes) => {
      const earlier = sizes.get(name) ?? 0;
      if (bytes > earlier && total - earlier + bytes > limitBytes) return undefined;
      set(name, bytes);
      return () => set(name, earlier);
    },
  };
}

function sizeOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.byteLength, 0);
}

function firstBytes(parts: readonly Uint8Array[], count: number): Uint8Array[] {
  let left = count;
  return parts.map((part) => {
    const kept = part.subarray(0, left);
    left -= kept.byteLength;
    return kept;
  });
}

function injectedError(call: Call, fault: Fault, location: string): HoldfastError {
  const chosen = fault.kind === 'error-before' || fault.kind === 'error-after' ? fault : undefined;
  return new HoldfastError({
    code: chosen?.code ?? 'storage.unreachable',
    message: `injected fault (${fault.kind}): ${call.operation} ${call.name} at ${location}`,
    remedy: 'None: this fault was asked for.',
    retry: chosen?.retry ?? 'now',
    context: { fault: fault.kind, call: call.number },
  });
}

function fullError(name: string, location: string): HoldfastError {
  return new HoldfastError({
    code: 'storage.full',
    message: `injected fault (full): no space left for ${name} at ${location}`,
    remedy: 'None: this fault was asked for.',
    context: { fault: 'full' },
  });
}
