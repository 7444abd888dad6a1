import { describe, expect, it } from 'vitest';
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

  it('of which one says what another one means, say it after that one', () => {
    const isCovered = (path: string, by: string): boolean =>
      path !== by && new RegExp(`^${by.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path);
    const hidden = routes.filter((one, i) =>
      routes.slice(0, i).some((before) => before.method === one.method && isCovered(one.path, before.path)),
    );
    expect(hidden.map((one) => one.path)).toEqual([]);
  });
});
