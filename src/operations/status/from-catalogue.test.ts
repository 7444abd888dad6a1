import { expect, test } from 'vitest';
import type { Catalogue } from '../../catalogue/open.ts';
import { openCatalogue } from '../../catalogue/open.ts';
import { claimRun, finishRun, insertMissedRun, insertRun } from '../../catalogue/runs.ts';
import { parseConfig } from '../../config/index.ts';
import { filesDriver } from '../../drivers/files/index.ts';
import { storageKinds } from '../../storage/registry.ts';
import { runsFromCatalogue } from './from-catalogue.ts';
import { judgeSource, type Knowledge, type Known } from './knowledge.ts';

const day = 86_400_000;
const known = { drivers: [filesDriver], storageKinds, hostKinds: [], channelKinds: [] };
const text = `
repositories:
  r1: { url: /mnt/r1, password: { env: A } }
  r2: { url: /mnt/r2, password: { env: A } }
policies: { p: { schedule: "0 2 * * *", repositories: [r1, r2], drill: { schedule: "0 5 * * 0" } } }
sources: { s: { driver: files, paths: [/srv], policy: p } }
`;
const config = parseConfig('/etc/holdfast.yaml', Buffer.from(text), known);
const source = config.sources.get('s')!;
type Outcome = 'succeeded' | 'failed' | 'cancelled';

/** Drills one after the other, in a world in which both repositories were proven a week ago. */
class World implements AsyncDisposable {
  nowMs = 100 * day;
  readonly catalogue: Catalogue;
  constructor(catalogue: Catalogue) {
    this.catalogue = catalogue;
  }

  static async make(): Promise<World> {
    let world: World | undefined;
    world = new World(await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => world?.nowMs ?? 0));
    return world;
  }

  async drilled(repository: string | undefined, state: Outcome): Promise<void> {
    const about = { kind: 'drill', source: 's', repository, host: 'local' } as const;
    this.nowMs += 60_000;
    const { id } = await insertRun(this.catalogue, { ...about, trigger: 'schedule', askedBy: 'schedule' });
    const { fence } = (await claimRun(this.catalogue, { id, worker: 'w', leaseMs: 60_000 }))!;
    const error = { code: 'restore.target-invalid', message: `no room for ${repository ?? 'it'}`, remedy: 'wait' };
    const outcome = state === 'failed' ? { state, error } : { state };
    const type = state === 'cancelled' ? 'run.cancelled' : (`drill.${state}` as const);
    await finishRun(this.catalogue, { id, fence, outcome, events: [{ type, title: 'ended', run: id }] });
  }

  async missed(repository: string): Promise<void> {
    this.nowMs += 60_000;
    const about = { kind: 'drill', source: 's', repository, host: 'local', slotMs: this.nowMs } as const;
    const due = { ...about, trigger: 'schedule', askedBy: 'schedule', slotKey: String(this.nowMs) } as const;
    await insertMissedRun(this.catalogue, { ...due, reason: 'nothing ran' });
  }

  async concerns(): Promise<readonly (readonly [string, readonly string[]])[]> {
    const uses = { config, catalogue: this.catalogue, clock: { nowMs: () => this.nowMs } as never };
    const runs = (await runsFromCatalogue(uses))('s');
    const atMs = this.nowMs - 7 * day;
    const proof = { snapshot: 'a'.repeat(64), startedAtMs: atMs, verdict: 'passed', restoreMs: 1 } as const;
    const newest = { id: 'a', time: '', timeMs: this.nowMs };
    const here: Known = { snapshots: 3, newest, lastProof: proof, lastPassed: proof };
    const each: Knowledge = { sources: new Map([['s', here]]), copies: () => undefined };
    const knowledge = new Map(['r1', 'r2'].map((name) => [name, each]));
    return source.placements.map((place) => {
      const { concerns } = judgeSource(source, place, { knowledge, runs }, uses).view();
      return [place.repository, concerns.map(({ message }) => message.replace(/.*: /, ''))] as const;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.catalogue[Symbol.asyncDispose]();
  }
}

/** Also to who asks for the first time. */
test.each([true, false])(
  'a drill that failed is a concern of its repository until that one is drilled again (asked before: %s)',
  async (before) => {
    await using world = await World.make();
    if (before) await world.concerns();
    await world.drilled('r1', 'failed');
    await world.drilled('r2', 'succeeded');
    await world.drilled('r1', 'cancelled');
    const failed = [
      ['r1', ['no room for r1']],
      ['r2', []],
    ];
    expect(await world.concerns()).toEqual(failed);
    await world.drilled('r1', 'succeeded');
    await world.missed('r2');
    expect(await world.concerns()).toEqual([
      ['r1', []],
      ['r2', ['nothing ran']],
    ]);
  },
);

test.each([true, false])(
  'a drill of which nobody knows which repository it was to read is a concern of the first, until another one ends (asked before: %s)',
  async (before) => {
    await using world = await World.make();
    if (before) await world.concerns();
    await world.drilled('r1', 'succeeded');
    await world.drilled(undefined, 'failed');
    if (before) {
      expect(await world.concerns()).toEqual([
        ['r1', ['no room for it']],
        ['r2', []],
      ]);
    }
    await world.drilled('r2', 'succeeded');
    expect(await world.concerns()).toEqual([
      ['r1', []],
      ['r2', []],
    ]);
  },
);
