import { expect, it } from 'vitest';
import type { StatusOutput } from '../../operations/status/status.ts';
import type { RemoteRoute } from './routes.ts';
import { wholeStatus } from './whole-status.ts';

const route: RemoteRoute = {
  ...{ method: 'GET', path: '/api/status', startsRun: false },
  ...{ inPath: [], inQuery: ['only', 'cursor', 'limit'], inBody: [] },
};

function page(names: readonly string[], ok: boolean, next?: string): StatusOutput {
  const sources = names.map((source) => ({ source })) as StatusOutput['sources'];
  return { ok, counts: { states: 3, concerns: ok ? 0 : 1 }, sources, repositories: [], elsewhere: [], next };
}

it('has the sources of all pages, and is not well if one of them was not', async () => {
  const pages = [page(['a', 'b'], false, 'b/main'), page(['c'], true)];
  const asked: string[] = [];
  const json = async (path: string): Promise<never> => {
    asked.push(path);
    return pages[asked.length - 1] as never;
  };
  const whole = await wholeStatus({ only: 'concerns' }, { route, server: { json } });
  expect(asked).toEqual([
    '/api/status?only=concerns&limit=1000',
    '/api/status?only=concerns&limit=1000&cursor=b%2Fmain',
  ]);
  expect([whole.ok, whole.sources.map((one) => one.source), 'next' in whole]).toEqual([false, ['a', 'b', 'c'], false]);
});
