/**
 * A year of schedules in simulated time, with schedulers and workers that die at any await: every due run ran once or is
 * reported as missed, nothing is left running, and retention kept what its rules say.
 *
 *     SOURCES=200 DAYS=366 vitest run --project platform test/platform/soak.test.ts
 */
import { expect, it } from 'vitest';
import { makeSoak } from '../support/soak-world.ts';

const sources = Number(process.env.SOURCES ?? 8);
const days = Number(process.env.DAYS ?? 10);
const seed = Number(process.env.SEED ?? 7);

/** Changes of the clock in Europe, and in autumn in America, too. */
const starts = days > 200 ? ['2026-01-01T00:00:00Z'] : ['2026-03-24T00:00:00Z', '2026-10-23T00:00:00Z'];

const lived = (day: number): void => {
  if (process.env.FIGURES && day % 10 === 0) console.log(`${day} of ${days} days, ${Math.round(process.uptime())} s`);
};

it.each(starts)(
  `keeps ${sources} sources for ${days} days from %s`,
  async (start) => {
    const soak = await makeSoak({ sources, days, seed, startMs: Date.parse(start), lived });
    await using _ = soak;
    await soak.live();
    const facts = await soak.judge();
    if (process.env.FIGURES) console.log(JSON.stringify(facts));
    expect(facts.problems).toEqual([]);
    expect(facts.leftOpen).toBe(0);
    expect(facts.slots).toBeGreaterThan(sources * days * 0.9);
    expect(facts.deaths.scheduler).toBeGreaterThan(days / 4);
    expect(facts.deaths.worker).toBeGreaterThan(days / 4);
  },
  120_000 + sources * days * 200,
);
