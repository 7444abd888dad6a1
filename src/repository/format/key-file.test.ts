import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeKeyFile, decodeMasterKey, encodeKeyFile, encodeMasterKey } from './key-file.ts';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
const utf8 = (json: string): Buffer => Buffer.from(json, 'utf8');
const bytes = (minLength: number, maxLength = minLength) => fc.uint8Array({ minLength, maxLength });
const damaged = expect.objectContaining({ code: 'repository.damaged' });

const anyKeyFile = fc.record({
  created: fc.constantFrom('2015-01-02T18:10:13.48307196+01:00', '2026-11-21T08:00:00Z'),
  username: fc.string({ unit: 'grapheme' }),
  hostname: fc.string({ unit: 'grapheme' }),
  kdf: fc.record({
    N: fc.constantFrom(2, 32_768, 65_536),
    r: fc.constantFrom(1, 8),
    p: fc.integer({ min: 1, max: 9 }),
    salt: bytes(1, 64),
  }),
  sealedMasterKey: bytes(32, 200),
});
const json = text(encodeKeyFile(fc.sample(anyKeyFile, { numRuns: 1, seed: 1 })[0]));

describe('a key file', () => {
  test('is read as what was written', () => {
    fc.assert(
      fc.property(anyKeyFile, (file) => {
        expect(decodeKeyFile(encodeKeyFile(file))).toEqual(file);
      }),
    );
  });

  test.each([
    ['of another kind', json.replace('scrypt', 'argon2')],
    ['that would take all memory', json.replace(/"N":\d+/, '"N":1073741824')],
    ['whose cost is no power of two', json.replace(/"N":\d+/, '"N":1000')],
    ['without blocks', json.replace(/"r":\d+/, '"r":0')],
    ['that would take years', json.replace(/"p":\d+/, '"p":1000000')],
    ['that would take an hour', json.replace(/"N":\d+,"r":\d+,"p":\d+/, '"N":1048576,"r":8,"p":1000')],
    ['without a cost', json.replace(/"N":\d+,/, '')],
  ])('with a key derivation %s is refused before it is tried', (_, other) => {
    expect(() => decodeKeyFile(utf8(other))).toThrow(expect.objectContaining({ code: 'repository.unsupported' }));
  });

  test.each([
    ['without salt', json.replace(/"salt":"[^"]*"/, '"salt":""')],
    ['with too little sealed', json.replace(/"data":"[^"]*"/, '"data":"AAAA"')],
    ['with a salt that is not base64', json.replace(/"salt":"/, '"salt":"*')],
    ['with a time that is none', json.replace(/"created":"/, '"created":"x')],
    ['that ends early', json.slice(0, -1)],
  ])('%s is damaged', (_, wrong) => {
    expect(() => decodeKeyFile(utf8(wrong))).toThrow(damaged);
  });
});

describe('the master key', () => {
  const anyKey = fc.record({ encrypt: bytes(32), macK: bytes(16), macR: bytes(16) });

  test('is read as what was written', () => {
    fc.assert(
      fc.property(anyKey, (key) => {
        expect(decodeMasterKey(encodeMasterKey(key))).toEqual(key);
      }),
    );
  });

  test('that is not whole is damaged, and the error does not show it', () => {
    const whole = text(encodeMasterKey(fc.sample(anyKey, 1)[0]));
    const secret = whole.slice(-20, -4);
    for (const wrong of [
      whole.slice(0, -2),
      `${whole}x`,
      whole.replace('"mac"', '"nac"'),
      whole.replace('"k"', '"l"'),
      whole.replace('"k":"', '"k":"AAAA'),
    ]) {
      expect(() => decodeMasterKey(utf8(wrong))).toThrow(damaged);
      expect(() => decodeMasterKey(utf8(wrong))).not.toThrow(secret);
    }
  });
});
