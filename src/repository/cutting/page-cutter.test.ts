import { hash, randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { type CutRegion, cutRegion, HeatJudge, leafBytes, ParentCut, regionBytes } from './page-cutter.ts';

function cut(region: Buffer, parent?: CutRegion, hot = false): CutRegion {
  return cutRegion(region.byteLength, parent, { leafBytes: 4096, hot }, (at, bytes) =>
    hash('sha256', region.subarray(at, at + bytes), 'buffer'),
  );
}

function lengthsOf(region: CutRegion): number[] {
  return [...region.lengths];
}

test('a region without a parent is one blob', () => {
  const whole = cut(randomBytes(regionBytes));
  expect(lengthsOf(whole)).toEqual([regionBytes]);
  expect(whole.changed).toBe(false);
});

test('an unchanged region keeps its parent’s cut and ids', () => {
  const region = randomBytes(regionBytes);
  const first = cut(region);
  region[5]++;
  const second = cut(region, first);
  const third = cut(region, second);
  expect(third).toEqual({ ...second, changed: false });
});

test('a change cuts a megabyte to 64 KiB, then 64 KiB to pages, and only where it is', () => {
  const region = randomBytes(regionBytes);
  const first = cut(region);
  region[300_000]++;
  const second = cut(region, first);
  expect(lengthsOf(second)).toEqual(new Array(16).fill(65_536));
  region[300_000]++;
  const third = cut(region, second);
  expect(lengthsOf(third)).toEqual([
    ...new Array(4).fill(65_536),
    ...new Array(16).fill(4096),
    ...new Array(11).fill(65_536),
  ]);
  region[300_000]++;
  const fourth = cut(region, third);
  expect(lengthsOf(fourth)).toEqual(lengthsOf(third));
  const differing = lengthsOf(fourth).filter(
    (_, i) => !Buffer.from(fourth.ids.subarray(i * 32, i * 32 + 32)).equals(third.ids.subarray(i * 32, i * 32 + 32)),
  );
  expect(differing).toEqual([4096]);
});

test('where everything changes, a megabyte is cut to pages at once', () => {
  const region = randomBytes(regionBytes);
  const first = cut(region);
  region[0]++;
  expect(lengthsOf(cut(region, first, true))).toEqual(new Array(256).fill(4096));
});

test('a region that grew keeps what it had and adds the rest; one that shrank drops what no longer fits', () => {
  const region = randomBytes(regionBytes);
  const small = cut(region.subarray(0, 300_000));
  const grown = cut(region, small);
  expect(lengthsOf(grown)).toEqual([300_000, regionBytes - 300_000]);
  expect(grown.changed).toBe(false);
  const shrunk = cut(region.subarray(0, 200_000), grown);
  expect(lengthsOf(shrunk)).toEqual([200_000]);
});

test('the cut always covers the region, with ids of its content', () => {
  let parent: CutRegion | undefined;
  let region = randomBytes(regionBytes);
  for (let round = 0; round < 40; round++) {
    const length = Math.floor(Math.random() * regionBytes) + 1;
    region = randomBytes(regionBytes).fill(region.subarray(0, length), 0, length);
    for (let i = 0; i < round % 5; i++) region[Math.floor(Math.random() * length)]++;
    const now = cut(region.subarray(0, length), parent, round % 2 === 0);
    let at = 0;
    lengthsOf(now).forEach((bytes, i) => {
      expect(Buffer.from(now.ids.slice(i * 32, i * 32 + 32))).toEqual(
        hash('sha256', region.subarray(at, at + bytes), 'buffer'),
      );
      at += bytes;
    });
    expect(at).toBe(length);
    parent = now;
  }
});

test('the parent’s cut is handed out by region; blobs that cross a border are not used', () => {
  const lengths = [regionBytes, 65_536, regionBytes, 4096];
  const ids = randomBytes(lengths.length * 32);
  const parent = new ParentCut(ids, (i) => lengths[i]);
  expect([...parent.region(0)!.lengths]).toEqual([regionBytes]);
  expect([...parent.region(regionBytes)!.lengths]).toEqual([65_536]);
  expect(parent.region(2 * regionBytes)).toBeUndefined();
  expect(parent.region(3 * regionBytes)).toBeUndefined();
});

test('leaves grow with the file so that their number stays bounded', () => {
  expect(leafBytes(512)).toBe(4096);
  expect(leafBytes(65_536)).toBe(65_536);
  expect(leafBytes(4096, 17e9)).toBe(8192);
  expect(1e12 / leafBytes(4096, 1e12)).toBeLessThanOrEqual(2 << 20);
});

test('a file counts as hot when more than a quarter of enough regions changed', () => {
  const judge = new HeatJudge();
  for (let i = 0; i < 7; i++) judge.saw(true);
  expect(judge.hot).toBe(false);
  judge.saw(true);
  expect(judge.hot).toBe(true);
  for (let i = 0; i < 24; i++) judge.saw(false);
  expect(judge.hot).toBe(false);
});
