import { describe, expect, test } from 'vitest';
import { hasCode } from '../../base/errors.ts';
import { Secret } from '../../base/secrets.ts';
import { hashPassword, passwordCost, verifyPassword } from './password-hash.ts';
import { requireGoodPassword } from './password-rules.ts';

const cheap = '$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQxMjM0$';

describe('hashes of passwords', () => {
  test('only the password itself is right, and each hash has a salt of its own', async () => {
    const phc = await hashPassword(new Secret('correct horse battery'));
    expect(phc).toMatch(/^\$argon2id\$v=19\$m=47104,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}$/);
    expect(await hashPassword(new Secret('correct horse battery'))).not.toBe(phc);
    expect(await verifyPassword(new Secret('correct horse battery'), phc)).toEqual({ right: true, outdated: false });
    expect(await verifyPassword(new Secret('correct horse batterz'), phc)).toEqual({ right: false, outdated: false });
  });

  test('a letter written in two ways is the same letter', async () => {
    const phc = await hashPassword(new Secret('grün wie die Hoffnung'));
    expect((await verifyPassword(new Secret('gru\u0308n wie die Hoffnung'), phc)).right).toBe(true);
  });

  test('what was hashed with another cost is right, and is to be hashed anew', async () => {
    const { argon2Sync } = await import('node:crypto');
    const nonce = Buffer.from('somesalt1234');
    const tag = argon2Sync('argon2id', {
      message: 'password',
      nonce,
      memory: 8,
      passes: 1,
      parallelism: 1,
      tagLength: 32,
    });
    const phc = cheap + tag.toString('base64').replace(/=+$/, '');
    expect(await verifyPassword(new Secret('password'), phc)).toEqual({ right: true, outdated: true });
    expect(await verifyPassword(new Secret('passworf'), phc)).toEqual({ right: false, outdated: false });
  });

  test('nobody signs in with what is no hash, or asks for more memory than any of ours', async () => {
    const wrong = [
      null,
      undefined,
      '',
      'x',
      cheap,
      `$argon2id$v=19$m=99999999,t=1,p=1$c29tZXNhbHQxMjM0$${'A'.repeat(43)}`,
    ];
    for (const phc of wrong) expect((await verifyPassword(new Secret(''), phc)).right).toBe(false);
  });

  test('without a hash the work is that of a hash of today', async () => {
    const times: Record<'known' | 'unknown', number[]> = { known: [], unknown: [] };
    const phc = await hashPassword(new Secret('correct horse battery'));
    for (let round = 0; round < 3; round++) {
      for (const kind of ['known', 'unknown'] as const) {
        const before = process.cpuUsage();
        await verifyPassword(new Secret('something else'), kind === 'known' ? phc : undefined);
        times[kind].push(process.cpuUsage(before).user);
      }
    }
    // Processor time, and the least of three: an answer without work takes a hundredth of it.
    expect(Math.min(...times.unknown)).toBeGreaterThan(Math.min(...times.known) / 10);
    expect(passwordCost.m).toBeGreaterThanOrEqual(19_456);
  });
});

describe('rules for passwords', () => {
  const anna = { name: 'anna.smith', email: 'anna@example.org' };
  test.each([
    ['short', 'has 5 characters'],
    ['Password2026!', 'first that are tried'],
    ['holdfast12345', 'first that are tried'],
    ['1234567890', 'first that are tried'],
    ['aaaaaaaaaaaa', 'repeats'],
    ['anna.smith2026', 'name of the account'],
    ['x1y2'.repeat(200), 'more than 512'],
  ])('%s is refused', (password, why) => {
    try {
      requireGoodPassword(new Secret(password), anna);
      expect.unreachable();
    } catch (error) {
      if (!hasCode(error, 'request.invalid')) throw error;
      expect(error.message).toContain(why);
      expect(JSON.stringify({ ...error })).not.toContain(password);
    }
  });

  test.each(['correct horse battery', 'grünes Krokodil', 'a-b-c-d-e-f', '   spaces inside are fine   '])(
    '%s is taken',
    (one) => {
      requireGoodPassword(new Secret(one), anna);
    },
  );
});
