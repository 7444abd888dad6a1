/** Promises about restoring, and about drills that cannot be fooled. */
import { readdir, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError, hasCode } from '../../base/errors.ts';
import { systemPath } from '../../base/names.ts';
import type { Check, Fingerprint } from '../../model/fingerprint.ts';
import type { Node } from '../../model/node.ts';
import { factsFolder } from '../../model/snapshot.ts';
import type { RestoreOutcome, SnapshotContents } from '../driver.ts';
import { type DriverCase, type DriverCaseContext, expect, fingerprintIn, withCopy } from './case.ts';

const fingerprintPath = `/${factsFolder}/fingerprint.json`;

export const proofCases: readonly DriverCase[] = [
  {
    id: 'drill-agrees',
    needs: 'any',
    why: 'a restored copy has every fact the backup recorded',
    run: (ctx) => expectProven(ctx),
  },
  {
    id: 'drill-notices',
    needs: 'any',
    why: 'each fact is compared: one that is different, missing or too many fails the drill, and so does an unknown algorithm',
    async run(ctx) {
      await using opened = await (await ctx.bench.backUp(ctx.source)).open();
      const fingerprint = await fingerprintIn(opened.contents, fingerprintPath);
      if (!fingerprint) return;
      await withCopy(ctx, opened.contents, async (copy) => {
        await expectNoticed(fingerprint, (expected) => copy.compare(expected));
      });
    },
  },
  {
    id: 'drill-truncated',
    needs: 'any',
    why: 'a snapshot whose largest file is cut to half does not pass its drill',
    async run(ctx) {
      await using opened = await (await ctx.bench.backUp(ctx.source)).open();
      const fingerprint = await fingerprintIn(opened.contents, fingerprintPath);
      const cut = await truncated(opened.contents);
      const passed = await withCopy(ctx, cut, async (copy) =>
        (await copy.compare(fingerprint)).every(({ ok }) => ok),
      ).catch(() => false);
      expect(!passed, 'half a file passes for a whole one');
    },
  },
  {
    id: 'dry-run',
    needs: 'any',
    why: 'a dry run says what a restore would do, and does nothing; a source that has no way back in place says so',
    async run({ driver, source, bench }) {
      await using opened = await (await bench.backUp(source)).open();
      const dry = { dryRun: true, overwrite: true, existing: 'make-equal' } as const;
      const inPlace = await orNoWayBack(driver.restore(source, opened.contents, { ...dry, host: source.host }));
      expect(inPlace === undefined || inPlace.steps.length > 0, 'no step is named');
      if (inPlace !== undefined) return;
      const directory = await bench.directory();
      const target = join(directory, 'restored');
      const beside = await driver.restore(source, opened.contents, { ...dry, host: source.local, target });
      expect(beside.steps.length > 0, 'no step is named');
      expect((await readdir(directory)).length === 0, 'a dry run wrote a file');
    },
  },
  {
    id: 'exact-under-writers',
    needs: 'trial',
    why: 'while others write, the copy is one state, and the facts are of that very state',
    async run(ctx) {
      await using writers = await ctx.trial!.disturb();
      await expectProven(ctx);
      await writers[Symbol.asyncDispose]();
    },
  },
  {
    id: 'changed-value',
    needs: 'trial',
    why: 'one value changed in the restored copy fails the drill',
    async run(ctx) {
      await using opened = await (await ctx.bench.backUp(ctx.source)).open();
      const fingerprint = await fingerprintIn(opened.contents, fingerprintPath);
      await withCopy(ctx, opened.contents, async (copy) => {
        await ctx.trial!.damage(copy);
        expect(
          (await copy.compare(fingerprint)).some(({ ok }) => !ok),
          'the changed value was not noticed',
        );
      });
    },
  },
  {
    id: 'restore-elsewhere',
    needs: 'trial',
    why: 'what is restored to another place is what was backed up, fact by fact',
    async run({ driver, source, bench, trial }) {
      await using opened = await (await bench.backUp(source)).open();
      const { target, source: restored } = await trial!.elsewhere();
      await driver.restore(source, opened.contents, { host: restored.host, target, dryRun: false, overwrite: false });
      await using again = await (await bench.backUp(restored)).open();
      const [wanted, found] = await Promise.all([opened, again].map(({ contents }) => factsIn(contents)));
      expect(wanted.length > 0, 'there is nothing to compare');
      const differing = wanted.find((fact, i) => fact !== found[i]) ?? found[wanted.length];
      expect(differing === undefined, `the restored source differs in ${differing}`);
    },
  },
  {
    id: 'nothing-left',
    needs: 'trial',
    why: 'a backup and a drill leave no session, lock, process or file behind',
    async run(ctx) {
      await expectProven(ctx);
      const left = await ctx.trial!.leftovers();
      expect(left.length === 0, `left behind: ${left.join(', ')}`);
    },
  },
];

/** `undefined` if there is no target to restore to: a command without its counterpart. That has to say what to do. */
async function orNoWayBack(restoring: Promise<RestoreOutcome>): Promise<RestoreOutcome | undefined> {
  try {
    return await restoring;
  } catch (error) {
    if (!(error instanceof HoldfastError) || !hasCode(error, 'restore.target-invalid')) throw error;
    expect(error.remedy.length > 10, `a restore is refused without a remedy: ${error.message}`);
    return undefined;
  }
}

/** The recorded facts; without any, the content of every file, wherever it lies. */
async function factsIn(contents: SnapshotContents): Promise<string[]> {
  const fingerprint = await fingerprintIn(contents, fingerprintPath);
  if (fingerprint) return fingerprint.facts.map((fact) => JSON.stringify(fact)).toSorted();
  const found: string[] = [];
  const walk = async (path: string): Promise<void> => {
    for (const node of await contents.children(path)) {
      if (node.type === 'file') found.push(`${node.name} ${Buffer.from(node.content ?? []).toString('hex')}`);
      if (node.type === 'dir') await walk(path === '/' ? `/${node.name}` : `${path}/${node.name}`);
    }
  };
  await walk('/');
  return found.toSorted((a, b) => (a < b ? -1 : 1));
}

async function expectProven(ctx: DriverCaseContext): Promise<void> {
  await using opened = await (await ctx.bench.backUp(ctx.source)).open();
  const fingerprint = await fingerprintIn(opened.contents, fingerprintPath);
  const checks = await withCopy(ctx, opened.contents, (copy) => copy.compare(fingerprint));
  expect(checks.length > 0, 'nothing was compared');
  const failed = checks.find((check) => !check.ok);
  expect(!failed, `${failed?.subject}: ${failed?.measure} is ${failed?.found}, not ${failed?.expected}`);
}

async function expectNoticed(
  fingerprint: Fingerprint,
  compare: (expected: Fingerprint) => Promise<Check[]>,
): Promise<void> {
  const { facts } = fingerprint;
  const wrong = facts.map((fact) => ({ ...fact, value: `${fact.value}0` }));
  const recorded = new Set(facts.map(({ subject, measure }) => `${subject} ${measure}`));
  // A driver may check more than was recorded, e.g. that a program can read the copy.
  const unnoticed = (await compare({ ...fingerprint, facts: wrong })).find(
    ({ ok, subject, measure }) => ok && recorded.has(`${subject} ${measure}`),
  );
  expect(!unnoticed, `another ${unnoticed?.measure} of ${unnoticed?.subject} is not noticed`);
  const missing = await compare({ ...fingerprint, facts: facts.slice(1) });
  expect(
    missing.some(({ ok }) => !ok),
    `a copy that has more than was recorded (${facts[0].subject}) passes`,
  );
  const more = [...facts, { subject: 'holdfast-no-such-thing', measure: 'rows', value: '1' }];
  expect(
    (await compare({ ...fingerprint, facts: more })).some(({ ok }) => !ok),
    'a copy that lacks something passes',
  );
  const unknown = await compare({ ...fingerprint, algorithm: 'holdfast-no-such-algorithm' });
  expect(
    unknown.some(({ ok }) => !ok),
    'facts of an unknown algorithm pass',
  );
}

/** The same snapshot, as if the second half of its largest file had never been written. */
async function truncated(contents: SnapshotContents): Promise<SnapshotContents> {
  const largest = await largestFile(contents, '/');
  expect(largest !== undefined, 'the snapshot holds no file');
  const half = Math.floor(largest.size / 2);
  return {
    ...{ id: contents.id, paths: contents.paths },
    node: (path) => contents.node(path),
    children: (path) => contents.children(path),
    contentLengths: (node) => contents.contentLengths(node),
    read: (path) => (path === largest.path ? firstBytes(contents.read(path), half) : contents.read(path)),
    async writeTree(path, directory, options) {
      const result = await contents.writeTree(path, directory, options);
      const parent = path === '/' || (await contents.node(path))?.type === 'dir' ? path : path.replace(/\/[^/]*$/, '');
      const below = parent === '/' ? largest.path : largest.path.slice(parent.length);
      if (largest.path.startsWith(parent)) await truncate(systemPath(join(directory, below)), half);
      return result;
    },
  };
}

async function* firstBytes(chunks: AsyncIterable<Uint8Array>, bytes: number): AsyncGenerator<Uint8Array> {
  let left = bytes;
  for await (const chunk of chunks) {
    if (left <= 0) return;
    yield chunk.subarray(0, left);
    left -= chunk.byteLength;
  }
}

async function largestFile(
  contents: SnapshotContents,
  path: string,
): Promise<{ path: string; size: number } | undefined> {
  let largest: { path: string; size: number } | undefined;
  for (const node of await contents.children(path)) {
    if (node.name === factsFolder) continue;
    const found = await fileAt(contents, node, path === '/' ? `/${node.name}` : `${path}/${node.name}`);
    if (found && found.size > (largest?.size ?? 0)) largest = found;
  }
  return largest;
}

async function fileAt(
  contents: SnapshotContents,
  node: Node,
  path: string,
): Promise<{ path: string; size: number } | undefined> {
  return node.type === 'dir' ? await largestFile(contents, path) : { path, size: node.type === 'file' ? node.size : 0 };
}
