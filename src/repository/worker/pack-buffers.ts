/**
 * The memory packs are built in: a fixed number of buffers of one size, allocated once and shared by all threads of an
 * operation. A worker takes one for each pack it opens and the main thread gives it back when the pack is stored; with
 * none free the worker waits. So the memory of packs is the same for a gibibyte and for a terabyte, whatever the storage's
 * pace. Deadlock-free as long as there are more buffers than packs the workers can hold open (one of each type a worker):
 * finished packs leave a worker at once, and storing them needs no worker.
 */

export interface PackBuffers {
  readonly memory: readonly SharedArrayBuffer[];
  /** First the number of releases so far (what waiting workers watch), then per buffer 1 = taken. */
  readonly state: Int32Array<SharedArrayBuffer>;
}

const releases = 0;

export function makePackBuffers(count: number, bytes: number): PackBuffers {
  return {
    memory: Array.from({ length: count }, () => new SharedArrayBuffer(bytes)),
    state: new Int32Array(new SharedArrayBuffer((count + 1) * 4)),
  };
}

/** The number of a buffer that is the caller's until released: always the lowest free one, so that few are ever touched. Blocks; not for the main thread. */
export function takePackBuffer({ memory, state }: PackBuffers): number {
  for (;;) {
    const seen = Atomics.load(state, releases);
    for (let slot = 0; slot < memory.length; slot++) {
      if (Atomics.compareExchange(state, slot + 1, 0, 1) === 0) return slot;
    }
    Atomics.wait(state, releases, seen);
  }
}

export function releasePackBuffer({ state }: PackBuffers, slot: number): void {
  Atomics.store(state, slot + 1, 0);
  Atomics.add(state, releases, 1);
  Atomics.notify(state, releases);
}
