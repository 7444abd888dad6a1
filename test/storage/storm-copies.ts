/**
 * Copies between the repository behind the storm and one on a disk, both ways. One that says it completed brought all it was
 * to bring, exact; one that failed took nothing away, blames nothing that is sound, and completes when the weather is calm.
 */
import { backup } from '../../src/operations/backup/backup.ts';
import type { StateView } from '../../src/operations/backup/state.ts';
import { repoPrune } from '../../src/operations/repositories/repo.ts';
import { type CopyOutput, repoCopy } from '../../src/operations/repositories/repo-copy.ts';
import { forgetSnapshots, listPins, pinSnapshot, unpinSnapshot } from '../../src/repository/index.ts';
import type { Ledger } from './storm-ledger.ts';
import { type StormWorld, sources } from './storm-world.ts';

export const copyVerbs = ['copy-out', 'copy-in'] as const;
export type CopyVerb = (typeof copyVerbs)[number];

export interface CopyOrder {
  readonly from: Ledger;
  readonly to: Ledger;
  /** Ids in `from`; empty: all of them. */
  readonly named: readonly string[];
  /** The ids these had where they were made. */
  readonly wanted: readonly string[];
  /** Of `wanted`, what `to` does not have yet. */
  readonly lacking: readonly string[];
  /** Ids in `from`, of what `to` lacks. */
  readonly pinned: readonly string[];
}

export interface CopyOutcome {
  readonly error?: { readonly code: string; readonly message: string; readonly remedy: string };
  /** Ids in the repository that got them. */
  readonly stored: readonly string[];
  /** Whether that repository describes itself as things are now. */
  readonly state?: StateView['outcome'];
  /** Of runs before it. */
  readonly adoptedPacks?: number;
}

export class StormCopies {
  readonly #world: StormWorld;
  readonly #cloud: Ledger;
  readonly #shelf: Ledger;
  readonly #draw: () => number;

  constructor(world: StormWorld, { cloud, shelf }: { cloud: Ledger; shelf: Ledger }, draw: () => number) {
    this.#world = world;
    this.#cloud = cloud;
    this.#shelf = shelf;
    this.#draw = draw;
  }

  /** In calm weather: sees that there is something to copy, and says what. */
  async order(verb: CopyVerb): Promise<CopyOrder> {
    const isOut = verb === 'copy-out';
    // Blobs are to travel again, and some only: what is left of a pruned repository has them in other packs.
    if (this.#draw() < 0.3) await this.#thinShelf();
    if (!isOut) await this.#fillShelf();
    const [from, to] = isOut ? [this.#cloud, this.#shelf] : [this.#shelf, this.#cloud];
    const ids = [...from.model.keys()];
    const some = ids.filter(() => this.#draw() < 0.3);
    const named = this.#draw() < 0.5 ? some : [];
    const chosen = named.length > 0 ? named : ids;
    const wanted = chosen.map((id) => from.originOf(id));
    const lacking = chosen.filter((id) => to.copyOf(from.originOf(id)) === undefined);
    const pinned = lacking.filter(() => this.#draw() < 0.3);
    for (const id of pinned) await pinSnapshot(from.repository, id);
    return { from, to, named, wanted, lacking: lacking.map((id) => from.originOf(id)), pinned };
  }

  async copy({ from, to, named }: CopyOrder): Promise<CopyOutcome> {
    const request = { from: from.name, to: to.name, snapshots: [...named], all: named.length === 0 };
    const output = await repoCopy.run(repoCopy.input.parse(request), this.#world.uses);
    const error = faultOf(output);
    if (output.ok !== (error === undefined)) throw new Error(`it says ${JSON.stringify(output)}`);
    return {
      error,
      stored: output.copied.map((one) => one.copy!),
      state: output.state?.outcome,
      adoptedPacks: output.adoptedPacks,
    };
  }

  /**
   * After the storm: compares both sides, finishes what failed, and restores all that came over. True if it failed with a
   * part of its work done.
   */
  async settle(order: CopyOrder, { stored, error }: CopyOutcome): Promise<boolean> {
    const { from, to, lacking, wanted } = order;
    await from.compare({});
    await to.compare({ stored });
    const isResumed = error !== undefined && (await this.#finish(order, error));
    const lost = wanted.find((origin) => to.copyOf(origin) === undefined);
    if (lost !== undefined) throw new Error(`the copy completed, and ${to.name} has no ${lost}`);
    for (const origin of lacking) await to.restored(to.copyOf(origin)!);
    await this.#settlePins(order);
    return isResumed;
  }

  /** What is pinned is pinned over there; later operations find no pin, and may forget. */
  async #settlePins({ from, to, pinned }: CopyOrder): Promise<void> {
    const there = await listPins(to.repository);
    for (const id of pinned) {
      const copy = to.copyOf(from.originOf(id))!;
      if (!there.has(copy)) throw new Error(`${to.name} has lost the pin of ${id}`);
      await unpinSnapshot(from.repository, id);
      await unpinSnapshot(to.repository, copy);
    }
  }

  async #finish(order: CopyOrder, error: NonNullable<CopyOutcome['error']>): Promise<boolean> {
    const { from, to } = order;
    const said = `${error.code}: ${error.message} — ${error.remedy}`;
    if (said.includes(this.#shelf.repository.storage.location)) throw new Error(`it blames the disk: ${said}`);
    const again = await this.copy(order);
    if (again.error) throw new Error(`in calm weather the copy fails again: ${again.error.message}`);
    const isKept = again.state === 'stored' || again.state === 'unchanged';
    if (order.wanted.length > 0 && !isKept) throw new Error(`in calm weather no state is kept: ${again.state}`);
    await from.compare({});
    await to.compare({ stored: again.stored });
    return (again.adoptedPacks ?? 0) > 0 || again.stored.length < order.lacking.length;
  }

  async #fillShelf(): Promise<void> {
    const source = sources[Math.floor(this.#draw() * sources.length)];
    const content = this.#world.change(source, this.#draw);
    const request = backup.input.parse({ sources: [source], repository: this.#shelf.name });
    const { results } = await backup.run(request, this.#world.uses);
    await this.#shelf.compare({ stored: [results[0].snapshot!], content });
  }

  async #thinShelf(): Promise<void> {
    const going = [...this.#shelf.model.keys()].filter(() => this.#draw() < 0.5);
    if (going.length === 0) return;
    await forgetSnapshots(this.#shelf.repository, going);
    await repoPrune.run({ repository: this.#shelf.name, dryRun: false, maxUnused: 0 }, this.#world.uses);
    await this.#shelf.compare({ going, gone: going });
  }
}

function faultOf({ failed, state }: CopyOutput): CopyOutcome['error'] {
  if (failed.length > 0) return failed[0];
  return state?.outcome === 'failed' ? state.error : undefined;
}
