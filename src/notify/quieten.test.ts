import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type EventType, eventTypes, type HoldfastEvent, severityOf } from '../model/event.ts';
import { decide, quietRules, type Standing } from './quieten.ts';
import { ends, endsTypes, lasts } from './subject.ts';

const minute = 60_000;
const hour = 60 * minute;
let count = 0;

const event = (type: EventType, atMs: number, more: Partial<HoldfastEvent> = {}): HoldfastEvent => ({
  id: String(count++).padStart(8, '0'),
  type,
  severity: severityOf(type),
  atMs,
  title: type,
  source: 'shop',
  facts: {},
  ...more,
});

/** One channel through time. */
class Listener {
  readonly standing = new Map<string, Standing>();
  readonly told: { type: EventType; dueAtMs: number; times: number; isRecovery: boolean; sinceMs: number }[] = [];
  readonly dropped: string[] = [];
  readonly audience: 'people' | 'machines';
  readonly takes: (event: HoldfastEvent) => boolean;

  constructor(audience: 'people' | 'machines' = 'people', takes = (one: HoldfastEvent) => one.severity === 'error') {
    this.audience = audience;
    this.takes = takes;
  }

  hear(one: HoldfastEvent): this {
    const { tell, stands, over, drops } = decide(one, {
      nowMs: one.atMs,
      rules: quietRules[this.audience],
      isTaken: this.takes(one),
      standing: this.standing,
    });
    for (const trouble of over) this.standing.delete(trouble);
    if (stands) this.standing.set(stands.trouble, stands);
    if (tell) this.told.push({ type: one.type, ...tell });
    this.dropped.push(...drops);
    return this;
  }
}

describe('when a channel is told', () => {
  test('the first failure after a moment in which others may join it', () => {
    const { told } = new Listener()
      .hear(event('backup.failed', 0))
      .hear(event('backup.failed', 10_000, { source: 'wiki' }));
    expect(told.map(({ dueAtMs }) => dueAtMs)).toEqual([30_000, 40_000]);
  });

  test('the same failure again goes into one message twelve hours later, which says how often', () => {
    const listener = new Listener();
    for (let i = 0; i <= 24; i++) listener.hear(event('backup.failed', i * hour, { errorCode: 'storage.unreachable' }));
    const { told } = listener;
    expect(told[0]).toMatchObject({ dueAtMs: 30_000, times: 1 });
    for (const one of told.slice(1, 13)) expect(one.dueAtMs).toBe(12 * hour + 30_000);
    for (const one of told.slice(13)) expect(one.dueAtMs).toBe(24 * hour + 30_000);
    expect(told[12]).toMatchObject({ times: 13, sinceMs: 0 });
  });

  test('a failure each night is told each night', () => {
    const listener = new Listener();
    for (let night = 0; night < 5; night++) listener.hear(event('backup.failed', night * 24 * hour));
    expect(listener.told.map(({ dueAtMs }) => dueAtMs / hour)).toEqual([0, 24, 48, 72, 96].map((at) => at + 1 / 120));
    expect(listener.told.at(-1)).toMatchObject({ times: 5, sinceMs: 0 });
  });

  test('a failure that is tried again by itself is told when that failed, too, and else not at all', () => {
    const retried = (atMs: number) => event('backup.failed', atMs, { facts: { retryAtMs: atMs + 5 * minute } });
    const once = new Listener().hear(retried(0)).hear(event('backup.succeeded', 6 * minute));
    expect(once.told.map(({ type }) => type)).toEqual(['backup.failed']);
    expect(once.dropped).toHaveLength(1);
    const thrice = new Listener()
      .hear(retried(0))
      .hear(retried(5 * minute))
      .hear(event('backup.failed', 10 * minute));
    expect(thrice.told.map(({ dueAtMs }) => dueAtMs / minute)).toEqual([65, 70, 10.5]);
    expect(thrice.told.at(-1)).toMatchObject({ times: 3, sinceMs: 0 });
    thrice.hear(event('backup.succeeded', 2 * hour));
    expect(thrice.told.at(-1)).toMatchObject({ isRecovery: true, times: 3 });
  });

  test('the same in the night after one in which all tries failed; its end is told then', () => {
    const listener = new Listener();
    const night = 24 * hour;
    listener
      .hear(event('backup.failed', 0))
      .hear(event('backup.failed', night, { facts: { retryAtMs: night + 5 * minute } }));
    expect(listener.told[1]).toMatchObject({ dueAtMs: night + 65 * minute, times: 2 });
    const failed = event('backup.failed', night + 6 * minute);
    const { tell, takes } = decide(failed, {
      nowMs: failed.atMs,
      rules: quietRules.people,
      isTaken: true,
      standing: listener.standing,
    });
    expect(tell).toMatchObject({ dueAtMs: night + 6.5 * minute, times: 3 });
    expect(takes).toHaveLength(1);
    listener.hear(event('backup.succeeded', night + 6 * minute));
    expect(listener.told.at(-1)).toMatchObject({ type: 'backup.succeeded', isRecovery: true, times: 2 });
  });

  test('also where it fails with another error then', () => {
    const first = event('backup.failed', 0, { errorCode: 'storage.unreachable', facts: { retryAtMs: 5 * minute } });
    const { told, dropped, standing } = new Listener()
      .hear(first)
      .hear(event('backup.failed', 6 * minute, { errorCode: 'repository.damaged' }));
    expect(told.at(-1)).toMatchObject({ dueAtMs: 6.5 * minute, times: 2, sinceMs: 0 });
    expect(dropped).toHaveLength(1);
    expect(standing.size).toBe(1);
  });

  test('it is told in any case when nothing is heard of it for an hour, and after six hours', () => {
    const listener = new Listener();
    for (let i = 0; i < 10; i++)
      listener.hear(event('backup.failed', i * hour, { facts: { retryAtMs: (i + 1) * hour } }));
    expect(Math.min(...listener.told.map(({ dueAtMs }) => dueAtMs))).toBe(2 * hour);
    expect(listener.told.slice(0, 6).every(({ dueAtMs }) => dueAtMs <= 6 * hour)).toBe(true);
    expect(
      new Listener('machines', () => true).hear(event('backup.failed', 0, { facts: { retryAtMs: 1 } })).told[0].dueAtMs,
    ).toBe(0);
  });

  test('another error of the same source is told at once', () => {
    const { told } = new Listener()
      .hear(event('backup.failed', 0, { errorCode: 'storage.unreachable' }))
      .hear(event('backup.failed', hour, { errorCode: 'repository.wrong-password' }));
    expect(told[1].dueAtMs).toBe(hour + 30_000);
  });

  test('the end of a failure is told to who was told of it, once, and to nobody else', () => {
    const listener = new Listener();
    listener
      .hear(event('backup.succeeded', 0))
      .hear(event('backup.failed', hour))
      .hear(event('backup.failed', 2 * hour));
    listener.hear(event('backup.succeeded', 3 * hour)).hear(event('backup.succeeded', 4 * hour));
    expect(listener.told.map(({ type }) => type)).toEqual(['backup.failed', 'backup.failed', 'backup.succeeded']);
    expect(listener.told[2]).toMatchObject({ isRecovery: true, times: 2, sinceMs: hour });
    expect(listener.standing.size).toBe(0);
  });

  test('the success of another source, repository or kind ends nothing', () => {
    const failure = event('backup.failed', 0, { repository: 'nas', source: 'shop' });
    for (const other of [{ source: 'wiki' }, { repository: 'r2' }]) {
      expect(ends(event('backup.succeeded', 1, { repository: 'nas', ...other }), failure)).toBe(false);
    }
    expect(ends(event('drill.succeeded', 1, { repository: 'nas' }), failure)).toBe(false);
    expect(ends(event('backup.succeeded', 1), failure)).toBe(true);
    const lost = event('run.lost', 0, { facts: { kind: 'backup' } });
    expect(ends(event('drill.succeeded', 1), lost)).toBe(false);
    expect(ends(event('backup.succeeded', 1), lost)).toBe(true);
  });

  test('a drill ends only what is told of the repository that it read', () => {
    const failure = event('drill.failed', 0, { repository: 'r2' });
    expect(ends(event('drill.succeeded', 1), failure)).toBe(false);
    expect(ends(event('drill.succeeded', 1, { repository: 'nas' }), failure)).toBe(false);
    expect(ends(event('drill.succeeded', 1, { repository: 'r2' }), failure)).toBe(true);
    expect(ends(event('drill.succeeded', 1, { repository: 'r2' }), event('drill.missed', 0))).toBe(true);
  });

  test('a proof that is fresh again in one repository ends nothing else, and a backup ends no stale proof', () => {
    const stale = event('proof.stale', 0, { repository: 'r2' });
    const recovered = event('source.recovered', 1, { repository: 'r2' });
    expect([ends(recovered, stale), ends(recovered, event('source.overdue', 0))]).toEqual([true, false]);
    expect(ends(event('source.recovered', 1, { repository: 'nas' }), stale)).toBe(false);
    const backedUp = event('source.recovered', 1);
    expect([ends(backedUp, stale), ends(backedUp, event('source.overdue', 0))]).toEqual([false, true]);
  });

  test('agents and channels are kept apart by their names', () => {
    const away = event('agent.lost', 0, { source: undefined, facts: { agent: 'attic' } });
    expect(ends(event('agent.returned', 1, { source: undefined, facts: { agent: 'cellar' } }), away)).toBe(false);
    expect(ends(event('agent.returned', 1, { source: undefined, facts: { agent: 'attic' } }), away)).toBe(true);
  });

  test('what nothing ends is told anew when it was quiet for as long as it would be folded', () => {
    const listener = new Listener();
    listener
      .hear(event('sign-in.refused', 0))
      .hear(event('sign-in.refused', hour))
      .hear(event('sign-in.refused', 40 * hour));
    expect(listener.told.map(({ times }) => times)).toEqual([1, 2, 1]);
  });

  test('programs are told of every event at once', () => {
    const listener = new Listener('machines', () => true);
    for (let i = 0; i < 5; i++) listener.hear(event('backup.failed', i * minute));
    expect(listener.told.map(({ dueAtMs }) => dueAtMs)).toEqual([0, 1, 2, 3, 4].map((i) => i * minute));
  });

  test('every trouble that lasts has something that ends it', () => {
    const types = Object.keys(eventTypes) as EventType[];
    const ended = new Set(types.flatMap(endsTypes));
    for (const type of types.filter(lasts)) expect(ended, type).toContain(type);
    for (const type of types.flatMap(endsTypes)) expect(types, type).toContain(type);
  });

  test('whatever happens, nothing is due in the past, the same trouble is told twice a day at most, and no end without a failure', () => {
    const types = ['backup.failed', 'backup.succeeded', 'drill.failed', 'drill.succeeded', 'run.warning'] as const;
    const step = fc.record({ afterMs: fc.integer({ min: 0, max: 8 * hour }), type: fc.constantFrom(...types) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const listener = new Listener('people', (one) => one.severity !== 'info');
        let nowMs = 0;
        for (const { afterMs, type } of steps) {
          nowMs += afterMs;
          const before = listener.told.length;
          listener.hear(event(type, nowMs));
          for (const one of listener.told.slice(before)) expect(one.dueAtMs).toBeGreaterThan(nowMs);
        }
        for (const type of ['backup', 'drill'] as const) expectCalm(listener, type);
      }),
    );
  });
});

/** Between two successes that were told: failures twelve hours apart, and a count that is right. */
function expectCalm({ told }: Listener, subject: 'backup' | 'drill'): void {
  const heard = told.filter(({ type }) => type.startsWith(subject));
  let failures: (typeof heard)[number][] = [];
  for (const one of heard) {
    if (one.type.endsWith('failed')) failures.push(one);
    else {
      expect(one.times).toBe(failures.length);
      expect(failures.length).toBeGreaterThan(0);
      failures = [];
    }
    const due = [...new Set(failures.map(({ dueAtMs }) => dueAtMs))];
    for (const [at, dueAtMs] of due.slice(1).entries()) expect(dueAtMs - due[at]).toBeGreaterThanOrEqual(12 * hour);
  }
}
