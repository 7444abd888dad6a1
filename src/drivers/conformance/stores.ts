/** Promises about backing up, and about what stays visible of it. */
import { factsFolder } from '../../model/snapshot.ts';
import type { SourceContext } from '../driver.ts';
import { type DriverCase, type DriverCaseContext, expect, expectError, fingerprintIn } from './case.ts';

export const storeCases: readonly DriverCase[] = [
  {
    id: 'probe',
    needs: 'any',
    why: 'a probe finds no error in a source that can be backed up, and says what to do about everything it finds',
    async run({ driver, source }) {
      for (const { level, message, remedy } of await driver.probe(source)) {
        expect(level !== 'error', `the probe says: ${message}`);
        expect(level === 'ok' || remedy !== undefined, `the finding «${message}» has no remedy`);
      }
    },
  },
  {
    id: 'stores',
    needs: 'any',
    why: 'a snapshot names what it is of, holds all of it, carries the facts to compare with, and its driver says what to do with its files',
    async run({ driver, source, bench }) {
      const stored = await bench.backUp(source);
      expect(stored.unreadable.length === 0, `${stored.unreadable[0]?.path} could not be read`);
      await using opened = await stored.open();
      const { contents } = opened;
      expect(contents.paths.length > 0, 'the snapshot has no paths');
      const names = (await contents.children('/')).map((node) => node.name);
      expect(
        names.some((name) => name !== factsFolder),
        'the snapshot holds nothing',
      );
      const steps = await driver.nativeSteps(contents);
      expect(
        steps.some(({ command }) => command !== undefined),
        'the driver does not say what a person does with the files that restic restores',
      );
      const fingerprint = await fingerprintIn(contents, `/${factsFolder}/fingerprint.json`);
      if (!fingerprint) return;
      expect(fingerprint.driver === driver.name, `the fingerprint is of the driver ${fingerprint.driver}`);
      expect(fingerprint.facts.length > 0, 'the fingerprint says nothing');
    },
  },
  {
    id: 'cancelled',
    needs: 'any',
    why: 'a backup that is cancelled leaves no snapshot, and says that it was cancelled',
    async run(ctx) {
      const before = await ctx.bench.countSnapshots();
      const stop = new AbortController();
      const source: SourceContext<unknown> = {
        ...ctx.source,
        signal: stop.signal,
        report: (event) => {
          if (event.type === 'stage' && event.stage === 'store') stop.abort();
        },
      };
      await expectError(() => ctx.bench.backUp(source), 'a cancelled backup', 'cancelled');
      await expectUnchanged(ctx, before);
    },
  },
  {
    id: 'refused',
    needs: 'trial',
    why: 'what cannot be reached or refuses is an error with a remedy, and leaves no snapshot',
    async run(ctx) {
      const before = await ctx.bench.countSnapshots();
      for (const source of ctx.trial!.refused) await expectError(() => ctx.bench.backUp(source), 'a refused backup');
      await expectUnchanged(ctx, before);
    },
  },
  {
    id: 'little-new',
    needs: 'trial',
    why: 'a second backup of what did not change stores next to nothing',
    async run({ source, bench }) {
      const first = await bench.backUp(source);
      const second = await bench.backUp(source);
      const most = Math.max(first.bytes / 20, 256 << 10);
      expect(second.addedBytes < most, `the second backup stored ${second.addedBytes} bytes of ${first.bytes} again`);
    },
  },
];

async function expectUnchanged({ bench, trial }: DriverCaseContext, before: number): Promise<void> {
  expect((await bench.countSnapshots()) === before, 'a snapshot appeared');
  const left = (await trial?.leftovers()) ?? [];
  expect(left.length === 0, `it left behind: ${left.join(', ')}`);
}
