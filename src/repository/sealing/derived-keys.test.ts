import { expect, test } from 'vitest';
import { deriveKey } from './crypto.ts';
import { derivedKey } from './derived-keys.ts';

const cheap = { N: 16, r: 8, p: 1 };
const salt = new Uint8Array(64).fill(7);

test('the same password and parameters are derived once, and to what scrypt says', async () => {
  const first = await derivedKey('a', { ...cheap, salt });
  expect(first).toEqual(await deriveKey('a', { ...cheap, salt }));
  expect(await derivedKey('a', { ...cheap, salt: salt.slice() })).toBe(first);
});

test('another password, another salt and other costs are other keys', async () => {
  const first = await derivedKey('a', { ...cheap, salt });
  const others = [
    await derivedKey('b', { ...cheap, salt }),
    await derivedKey('a', { ...cheap, salt: new Uint8Array(64).fill(8) }),
    await derivedKey('a', { ...cheap, N: 32, salt }),
  ];
  for (const other of others) expect(other).not.toEqual(first);
});

test('parameters that cannot be are refused every time', async () => {
  for (let i = 0; i < 2; i++) {
    await expect(derivedKey('a', { ...cheap, N: 15, salt })).rejects.toMatchObject({ code: 'repository.unsupported' });
  }
});

test('what is kept is bounded, and the one used last stays', async () => {
  const first = await derivedKey('stays', { ...cheap, salt });
  for (let i = 0; i < 100; i++) {
    await derivedKey(`other ${i}`, { ...cheap, salt });
    expect(await derivedKey('stays', { ...cheap, salt })).toBe(first);
  }
  const gone = await derivedKey('other 0', { ...cheap, salt });
  expect(gone).toEqual(await deriveKey('other 0', { ...cheap, salt }));
});
