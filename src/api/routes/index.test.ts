import { describe, expect, it } from 'vitest';
import { answersHead } from '../route.ts';
import { routes } from './index.ts';

describe('the routes', () => {
  it('are there once each, and none stands in the way of another', () => {
    const places = routes.map((one) => `${one.method} ${one.path.replaceAll(/\{\w+\}/g, '{}')}`);
    expect(places.filter((one, i) => places.indexOf(one) !== i)).toEqual([]);
    const ids = routes.map((one) => one.id);
    expect(ids.filter((one, i) => ids.indexOf(one) !== i)).toEqual([]);
  });

  it('perform an operation of the command line in one place', () => {
    const operations = routes.flatMap((one) => (one.operation === undefined ? [] : [one.operation]));
    expect(operations.filter((one, i) => operations.indexOf(one) !== i)).toEqual([]);
  });

  it('answer HEAD only where the body is whole before it is sent and asking changes nothing', () => {
    const asked = routes.filter((one) => one.method === 'get');
    const refused = asked.filter((one) => !answersHead(one)).map((one) => one.id);
    expect(refused.sort()).toEqual([
      ...['beginOidc', 'completeOidc', 'diffSnapshots', 'findFiles', 'followEvents', 'followRunLog', 'listFiles'],
      'openDownload',
    ]);
    const others = asked.filter((one) => answersHead(one) && one.answer.form !== 'json').map((one) => one.id);
    expect(others.sort()).toEqual(['showFront', 'showHealth', 'showMetrics']);
  });

  it('of which one says what another one means, say it after that one', () => {
    const isCovered = (path: string, by: string): boolean =>
      path !== by && new RegExp(`^${by.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path);
    const hidden = routes.filter((one, i) =>
      routes.slice(0, i).some((before) => before.method === one.method && isCovered(one.path, before.path)),
    );
    expect(hidden.map((one) => one.path)).toEqual([]);
  });
});
