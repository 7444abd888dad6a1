import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { randomPolynomial } from '../cutting/chunker.ts';
import { decodeConfig, encodeConfig } from './config.ts';

const utf8 = (json: string): Buffer => Buffer.from(json, 'utf8');
const json = `{"version":2,"id":"${'ab'.repeat(32)}","chunker_polynomial":"25b468838dcb75"}`;

describe('the config', () => {
  test('is read as what was written', () => {
    fc.assert(
      fc.property(fc.constantFrom(1, 2), fc.uint8Array({ minLength: 32, maxLength: 32 }), (version, bytes) => {
        const config = { version, id: Buffer.from(bytes).toString('hex'), chunkerPolynomial: randomPolynomial() };
        expect(decodeConfig(encodeConfig(config))).toEqual(config);
      }),
      { numRuns: 20 },
    );
  });

  test('is the one of design.rst', () => {
    expect(decodeConfig(utf8(json)).chunkerPolynomial).toBe(0x25b468838dcb75n);
    expect(Buffer.from(encodeConfig(decodeConfig(utf8(json)))).toString()).toBe(json);
  });

  test.each(['0', '3', '99'])('of version %s is not understood', (version) => {
    const other = utf8(json.replace('2', version));
    expect(() => decodeConfig(other)).toThrow(expect.objectContaining({ code: 'repository.unsupported' }));
  });

  test.each([
    ['whose polynomial has a factor', json.replace('25b468838dcb75', '25b468838dcb74')],
    ['whose polynomial is no number', json.replace('25b4', 'xyz')],
    ['without polynomial', json.replace(/,"chunker.*"/, '')],
    ['without id', json.replace(/"id":"[^"]*",/, '')],
    ['with a short id', json.replace('abab', 'ab')],
    ['that is no JSON', 'config'],
  ])('%s is damaged', (_, wrong) => {
    expect(() => decodeConfig(utf8(wrong))).toThrow(expect.objectContaining({ code: 'repository.damaged' }));
  });
});
