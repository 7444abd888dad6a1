import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { admit, type Candidate, reserveAfterMs } from './admission.ts';

const limits = { runs: 4, perHost: 2, perRepository: 3 };
let serial = 0;
function run(parts: Partial<Candidate> = {}): Candidate {
  const id = String(++serial).padStart(6, '0');
  return { id, kind: 'backup', source: `s${id}`, host: `h${id}`, touches: [], stops: [], readyMs: serial, ...parts };
}
const shared = (repository: string) => ({ repository, mode: 'shared' }) as const;
const alone = (repository: string) => ({ repository, mode: 'alone' }) as const;

describe('limits', () => {
  it('lets as many begin as may, the oldest first, and says why the others wait', () => {
    const runs = [1, 2, 3, 4, 5].map(() => run());
    const { admitted, waiting } = admit(runs.toReversed(), [], { limits, nowMs: 0 });
    expect(admitted).toEqual(runs.slice(0, 4).map((one) => one.id));
    expect([...waiting]).toEqual([[runs[4].id, '4 runs are going on, which is the limit']]);
  });

  it('does one thing at a time with a source', () => {
    const going = run({ source: 'shop' });
    const next = run({ source: 'shop', kind: 'drill' });
    const { waiting } = admit([next], [going], { limits, nowMs: 0 });
    expect(waiting.get(next.id)).toBe('something else is being done with shop');
  });

  it('does not let two stop the same service at once, and lets the older one have it', () => {
    const stops = ['the container wiki on local'];
    const going = run({ stops });
    const [older, younger] = [run({ stops: ['the service db on local', ...stops] }), run({ stops })];
    const { admitted, waiting } = admit([younger, older], [going], { limits, nowMs: 0 });
    expect(admitted).toEqual([]);
    expect(waiting.get(older.id)).toBe('another backup stops the container wiki on local, too');
    expect(admit([younger, older], [], { limits, nowMs: 0 }).admitted).toEqual([older.id]);
  });

  it('passes by what cannot begin yet', () => {
    const full = [run({ host: 'db' }), run({ host: 'db' })];
    const held = run({ host: 'db' });
    const other = run();
    const { admitted, waiting } = admit([held, other], full, { limits, nowMs: 0 });
    expect(admitted).toEqual([other.id]);
    expect(waiting.get(held.id)).toContain('db');
  });

  it('leaves a prune alone with its repository, and keeps a check from another check only', () => {
    const backup = run({ touches: [shared('nas')] });
    const prune = run({ kind: 'prune', source: undefined, touches: [alone('nas')] });
    const check = (): Candidate =>
      run({ kind: 'check', source: undefined, touches: [{ repository: 'nas', mode: 'checked' }] });
    const [first, second] = [check(), check()];
    expect(admit([prune, first, second], [backup], { limits, nowMs: 0 }).admitted).toEqual([first.id]);
    expect(admit([backup, first], [prune], { limits, nowMs: 0 }).admitted).toEqual([]);
  });
});

describe('patience', () => {
  it('is at an end when a prune has waited for so long that backups one after another would starve it', () => {
    const going = run({ touches: [shared('nas')] });
    const prune = run({ kind: 'prune', source: undefined, touches: [alone('nas')], readyMs: 0 });
    const younger = run({ touches: [shared('nas')], readyMs: 1 });
    const elsewhere = run({ touches: [shared('r2')], readyMs: 2 });
    expect(admit([prune, younger], [going], { limits, nowMs: 1000 }).admitted).toEqual([younger.id]);
    const late = admit([prune, younger, elsewhere], [going], { limits, nowMs: reserveAfterMs });
    expect(late.admitted).toEqual([elsewhere.id]);
    expect(late.waiting.get(younger.id)).toContain('waited for it for longer');
  });

  it('is at an end, too, for one that stops two services which others stop in turns', () => {
    const going = run({ stops: ['db'] });
    const both = run({ stops: ['db', 'web'], readyMs: 0 });
    const [younger, other] = [run({ stops: ['web'] }), run({ host: both.host })];
    expect(admit([both, younger], [going], { limits, nowMs: 1000 }).admitted).toEqual([younger.id]);
    const late = admit([both, younger, other], [going], { limits, nowMs: reserveAfterMs });
    expect(late.admitted).toEqual([other.id]);
  });

  it('lasts for ever only with what works on the same source: its host is not kept free meanwhile', () => {
    const going = run({ source: 'shop', host: 'db' });
    const again = run({ source: 'shop', host: 'db', readyMs: 0 });
    const other = run({ host: 'db' });
    expect(admit([again, other], [going], { limits, nowMs: reserveAfterMs * 9 }).admitted).toEqual([other.id]);
  });
});

const kinds = fc.constantFrom<[Candidate['kind'], 'shared' | 'checked' | 'alone']>(
  ['backup', 'shared'],
  ['drill', 'shared'],
  ['check', 'checked'],
  ['prune', 'alone'],
);
const anyRun = fc.record({
  kind: kinds,
  source: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
  repository: fc.constantFrom('nas', 'r2'),
  length: fc.integer({ min: 1, max: 40 }),
  gap: fc.integer({ min: 0, max: 8 }),
});

type Given = typeof anyRun extends fc.Arbitrary<infer T> ? T : never;
interface Arriving {
  readonly minutes: number;
  readonly candidate: Candidate;
}

/** Some have one in common with the one before, some with the one after, some none. */
function stopsOf(source: string): string[] {
  const at = source.charCodeAt(0);
  return at % 3 === 0 ? [] : [`the service ${at >> 1}`, `the service ${(at + 1) >> 1}`];
}

function arrivals(given: readonly Given[]): Arriving[] {
  let minute = 0;
  return given.map(({ kind: [kind, mode], source, repository, length, gap }, i) => {
    minute += gap;
    const about = kind === 'backup' || kind === 'drill' ? { source } : {};
    const host = `h${source.charCodeAt(0) % 3}`;
    const touches = [{ repository, mode }];
    const stops = kind === 'backup' ? stopsOf(source) : [];
    const candidate = {
      id: String(i).padStart(4, '0'),
      kind,
      host,
      ...about,
      touches,
      stops,
      readyMs: minute * 60_000,
    };
    return { minutes: length, candidate };
  });
}

/** A minute at a time, until all has ended; false if that takes longer than everything one after another. */
function play(arriving: Arriving[], few: typeof limits): boolean {
  const waiting = new Map<string, Arriving>();
  const going = new Map<string, { candidate: Candidate; until: number }>();
  for (let now = 0; now < 60 * 8 + 60 * 41; now++) {
    const nowMs = now * 60_000;
    for (const [id, { until }] of going) if (until <= now) going.delete(id);
    while (arriving.length > 0 && arriving[0].candidate.readyMs <= nowMs)
      waiting.set(arriving[0].candidate.id, arriving.shift()!);
    const candidates = [...waiting.values()].map((one) => one.candidate);
    const decided = admit(
      candidates,
      [...going.values()].map((one) => one.candidate),
      { limits: few, nowMs },
    );
    expect(decided.admitted.length + decided.waiting.size).toBe(waiting.size);
    for (const id of decided.admitted) {
      const { candidate, minutes } = waiting.get(id)!;
      going.set(id, { candidate, until: now + minutes });
      waiting.delete(id);
    }
    requireWithin(
      [...going.values()].map((one) => one.candidate),
      few,
    );
    if (arriving.length + waiting.size === 0) return true;
  }
  return false;
}

it('never goes beyond a limit and starves nobody, whatever comes', () => {
  fc.assert(
    fc.property(
      fc.array(anyRun, { maxLength: 60 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 2 }),
      (given, runs, perHost) => {
        expect(play(arrivals(given), { runs, perHost, perRepository: 2 })).toBe(true);
      },
    ),
    { numRuns: 150 },
  );
});

function requireWithin(
  going: readonly Candidate[],
  few: { runs: number; perHost: number; perRepository: number },
): void {
  expect(going.length).toBeLessThanOrEqual(few.runs);
  const stops = going.flatMap((one) => [...new Set(one.stops)]);
  expect(new Set(stops).size).toBe(stops.length);
  const sources = going.flatMap((one) => one.source ?? []);
  expect(new Set(sources).size).toBe(sources.length);
  for (const group of Map.groupBy(
    going.filter((one) => one.source !== undefined),
    (one) => one.host,
  ).values())
    expect(group.length).toBeLessThanOrEqual(few.perHost);
  for (const repository of ['nas', 'r2']) {
    const modes = going.flatMap((one) =>
      one.touches.filter((touched) => touched.repository === repository).map(({ mode }) => mode),
    );
    expect(modes.length).toBeLessThanOrEqual(few.perRepository);
    if (modes.includes('alone')) expect(modes).toHaveLength(1);
    expect(modes.filter((mode) => mode === 'checked').length).toBeLessThanOrEqual(1);
  }
}
