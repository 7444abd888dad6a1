import { expect, test } from 'vitest';
import type { StatusOutput } from '../../operations/status/status.ts';
import { describe } from './status.ts';

const state = (source: string, repository: string, ok: boolean): StatusOutput['sources'][number] => ({
  ...{ source, driver: 'files', repository, ok, snapshots: 1, expected: { snapshotMs: 1 } },
  concerns: ok ? [] : [{ kind: 'never-proven', message: 'never proven', remedy: 'drill it' }],
});
const lastLine = (output: StatusOutput): string => describe(output).split('\n').at(-1) ?? '';

test('counts sources, not the places they are in', () => {
  const sources = [state('a', 'nas', true), state('a', 'r2', false), state('b', 'nas', true), state('b', 'r2', true)];
  const output: StatusOutput = { ok: false, sources, repositories: [], elsewhere: [] };
  expect(lastLine(output)).toBe('1 of 2 sources not safely restorable from each of their repositories');
  const counts = { states: 40, concerns: 1, sources: 20, unsafeSources: 1 };
  expect(lastLine({ ...output, counts, sources: sources.slice(1, 2) })).toMatch(/^1 of 20 sources/);
  expect(lastLine({ ...output, ok: true, sources: [state('a', 'nas', true)] })).toMatch(/proven: 1 source$/);
});

test('says why a repository cannot be read', () => {
  const own = state('a', 'nas', false);
  const nas = { name: 'nas', ok: false, message: 'no key opens', remedy: 'Give another.' } as const;
  const shown = (state: 'unreadable' | 'unreachable', code: string) =>
    describe({ ok: false, sources: [own], repositories: [{ ...nas, state, code }], elsewhere: [] });

  expect(shown('unreadable', 'repository.wrong-password')).toMatch(/^nas +wrong password/m);
  expect(shown('unreadable', 'storage.denied')).toMatch(/^nas +no permission/m);
  expect(shown('unreachable', 'storage.unreachable')).toMatch(/^nas +unreachable/m);
});
