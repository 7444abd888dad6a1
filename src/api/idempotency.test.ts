import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HoldfastError } from '../base/errors.ts';
import { type Catalogue, openCatalogue } from '../catalogue/open.ts';
import { once, requireKey } from './idempotency.ts';

let catalogue: Catalogue;
let nowMs = 1_800_000_000_000;

beforeEach(async () => {
  catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => nowMs);
});
afterEach(() => catalogue[Symbol.asyncDispose]());

const ask = (said = 'a', actor = 'anna') => ({ catalogue, nowMs, actor, key: 'k', said });
const answer = (body: string) => async () => ({ status: 200, body });

describe('an idempotency key', () => {
  it('gives the answer of the first time, to the same caller and for the same request', async () => {
    expect(await once(ask(), answer('1'))).toEqual({ status: 200, body: '1' });
    expect(await once(ask(), answer('2'))).toEqual({ status: 200, body: '1' });
    expect(await once(ask('a', 'ben'), answer('3'))).toEqual({ status: 200, body: '3' });
    await expect(once(ask('b'), answer('4'))).rejects.toMatchObject({ code: 'request.conflict' });
  });

  it('lets one of many through at once', async () => {
    const [begun, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const first = once(ask(), async () => {
      begun.resolve();
      await gate.promise;
      return { status: 202, body: 'begun' };
    });
    await begun.promise;
    await expect(once(ask(), answer('again'))).rejects.toMatchObject({ code: 'request.conflict', retry: 'later' });
    gate.resolve();
    await first;
    expect(await once(ask(), answer('again'))).toEqual({ status: 202, body: 'begun' });
  });

  it('may be used again when it failed, or the answer was a fault of ours', async () => {
    const broken = new HoldfastError({ code: 'storage.unreachable', message: 'm', remedy: 'r' });
    await expect(once(ask(), () => Promise.reject(broken))).rejects.toBe(broken);
    expect(await once(ask(), async () => ({ status: 503 }))).toEqual({ status: 503 });
    expect(await once(ask(), answer('now'))).toEqual({ status: 200, body: 'now' });
  });

  it('of a request whose server died is free after a while, and every one after a day', async () => {
    const row = { key: 'k', actor: 'anna', requestHash: 'x', status: null, response: null, createdAtMs: nowMs };
    await catalogue.db.insertInto('idempotency').values(row).execute();
    await expect(once(ask(), answer('1'))).rejects.toMatchObject({ code: 'request.conflict' });
    nowMs += 16 * 60_000;
    expect(await once(ask(), answer('2'))).toMatchObject({ body: '2' });
    nowMs += 25 * 3_600_000;
    expect(await once(ask('b'), answer('3'))).toMatchObject({ body: '3' });
  });

  it('is printable and short', () => {
    for (const key of ['', ' ', 'a b', 'x'.repeat(201), 'ü']) expect(() => requireKey(key)).toThrow('idempotency');
    expect(requireKey('7a1f-…'.replace('…', 'z'))).toBe('7a1f-z');
  });
});
