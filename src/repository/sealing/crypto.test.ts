import { createDecipheriv, randomFillSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createKernel } from '../kernel/kernel.ts';
import { defaultKdf, deriveKey, generateMasterKey, type MasterKey, Sealer, sealOverhead } from './crypto.ts';

const kernel = createKernel();
const key = generateMasterKey();
const sealer = new Sealer(key, kernel);
const hex = (text: string): Uint8Array => Buffer.from(text, 'hex');
const damaged = expect.objectContaining({ code: 'repository.damaged' });

function randomBytes(length: number): Uint8Array {
  return randomFillSync(new Uint8Array(length));
}

const sizes = [0, 1, 15, 16, 17, 4096, 65_535, 65_536, 65_537, 200_001, 8 << 20];

describe('sealing', () => {
  test.each(sizes)('%i bytes are opened again', (size) => {
    const plaintext = randomBytes(size);
    const sealed = sealer.seal(plaintext);
    expect(sealed.byteLength).toBe(size + sealOverhead);
    expect(Buffer.compare(sealer.open(sealed), plaintext)).toBe(0);
  });

  test.each(sizes)('%i bytes are enciphered as AES-256-CTR with the IV in front', (size) => {
    const plaintext = randomBytes(size);
    const sealed = sealer.seal(plaintext);
    const decipher = createDecipheriv('aes-256-ctr', key.encrypt, sealed.subarray(0, 16));
    expect(Buffer.compare(decipher.update(sealed.subarray(16, 16 + size)), plaintext)).toBe(0);
  });

  test('no IV comes twice', () => {
    const seen = new Set(
      Array.from({ length: 1000 }, () => Buffer.from(sealer.seal(hex('00'))).toString('hex', 0, 16)),
    );
    expect(seen.size).toBe(1000);
  });

  test.each([5, 70_000])('shared memory at any alignment serves as source and target: %i bytes', (size) => {
    const shared = (offset: number, length: number): Uint8Array =>
      new Uint8Array(new SharedArrayBuffer(length + offset), offset, length);
    const plaintext = shared(3, size);
    plaintext.set(randomBytes(size));
    const sealed = shared(5, size + sealOverhead);
    const opened = shared(0, size + 10);
    expect(sealer.sealInto(plaintext, sealed)).toBe(size + sealOverhead);
    expect(sealer.openInto(sealed, opened)).toBe(size);
    expect(Buffer.compare(opened.subarray(0, size), plaintext)).toBe(0);
    expect([...opened.subarray(size)]).toEqual(Array(10).fill(0));
  });

  test.each([5, 70_000])('a plaintext may lie where its ciphertext will: %i bytes', (size) => {
    const plaintext = randomBytes(size);
    const memory = new Uint8Array(size + sealOverhead);
    memory.set(plaintext, 16);
    sealer.sealInto(memory.subarray(16, 16 + size), memory);
    sealer.openInto(memory, memory.subarray(16));
    expect(Buffer.compare(memory.subarray(16, 16 + size), plaintext)).toBe(0);
  });

  test.each([0, 5, 65_536, 300_001])('opened in parts it is the same: %i bytes', (size) => {
    const plaintext = randomBytes(size);
    const sealed = sealer.seal(plaintext);
    const parts: Uint8Array[] = [];
    sealer.openParts(sealed, (part) => parts.push(Uint8Array.from(part)));
    expect(Buffer.concat(parts).equals(plaintext)).toBe(true);
    sealed[sealed.byteLength - 20] ^= 1;
    expect(() => sealer.openParts(sealed, () => expect.unreachable())).toThrow(damaged);
  });

  test('a target that is too short is refused', () => {
    expect(() => sealer.sealInto(hex('00'), new Uint8Array(32))).toThrow(expect.objectContaining({ code: 'internal' }));
    const sealed = sealer.seal(hex('0000'));
    expect(() => sealer.openInto(sealed, new Uint8Array(1))).toThrow(expect.objectContaining({ code: 'internal' }));
  });
});

describe('opening refuses', () => {
  test.each([0, 1, 16, 50])('%i bytes of which any one was changed', (size) => {
    const sealed = sealer.seal(randomBytes(size));
    for (let at = 0; at < sealed.byteLength; at++) {
      for (const bit of [1, 128]) {
        const changed = Uint8Array.from(sealed);
        changed[at] ^= bit;
        expect(() => sealer.open(changed)).toThrow(damaged);
      }
    }
    expect(sealer.open(sealed).byteLength).toBe(size);
  });

  test('a long text changed at its ends or the borders of blocks, and leaves the target alone', () => {
    const sealed = sealer.seal(randomBytes(200_000));
    const into = new Uint8Array(200_000);
    for (const at of [0, 15, 16, 65_551, 65_552, 131_087, 131_088, 200_015, 200_016, 200_031]) {
      sealed[at] ^= 4;
      expect(() => sealer.openInto(sealed, into)).toThrow(damaged);
      sealed[at] ^= 4;
    }
    expect(into.every((byte) => byte === 0)).toBe(true);
    sealer.openInto(sealed, into);
  });

  test('what was cut short or lengthened', () => {
    const sealed = sealer.seal(randomBytes(40));
    for (const length of [0, 16, 31, 32, 33, 71])
      expect(() => sealer.open(sealed.subarray(0, length))).toThrow(damaged);
    expect(() => sealer.open(Buffer.concat([sealed, hex('00')]))).toThrow(damaged);
  });

  test('what another key sealed', () => {
    expect(() => new Sealer(generateMasterKey(), kernel).open(sealer.seal(hex('01')))).toThrow(damaged);
  });
});

// D. J. Bernstein, "The Poly1305-AES message-authentication code", appendix B.
test.each([
  [
    '851fc40c3467ac0be05cc20404f3f700',
    'ec074c835580741701425b623235add6',
    'fb447350c4e868c52ac3275cf9d4327e',
    'f3f6',
    'f4c633c3044fc145f84f335cb81953de',
  ],
  [
    'a0f3080000f46400d0c7e9076c834403',
    '75deaa25c09f208e1dc4ce6b5cad3fbf',
    '61ee09218d29b0aaed7e154a2c5509cc',
    '',
    'dd3fab2251f11ac759f0887129cc2ee7',
  ],
  [
    '48443d0bb0d21109c89a100b5ce2c208',
    '6acb5f61a7176dd320c5c1eb2edcdc74',
    'ae212a55399729595dea458bc621ff0e',
    '663cea190ffb83d89593f3f476b6bc24d7e679107ea26adb8caf6652d0656136',
    '0ee1c16bb73f0f4fd19881753c01cdbe',
  ],
  [
    '12976a08c4426d0ce8a82407c4f48207',
    'e1a5668a4d5b66a5f68cc5424ed5982d',
    '9ae831e743978d3a23527c7128149e3a',
    'ab0812724a7f1e342742cbed374d94d136c6b8795d45b3819830f2c04491faf0990c62e48b8018b2c3e4a0fa3134cb67fa83e158c994d961c4cb21095c1bf9',
    '5154ad0d2cb26e01274fc51148491f1b',
  ],
])('a seal with a tag of the Poly1305-AES paper opens: r %s', (r, k, nonce, message, tag) => {
  const paperKey: MasterKey = { encrypt: new Uint8Array(32), macK: hex(k), macR: hex(r) };
  const opened = new Sealer(paperKey, kernel).open(hex(nonce + message + tag));
  const decipher = createDecipheriv('aes-256-ctr', paperKey.encrypt, hex(nonce));
  expect(Buffer.compare(opened, decipher.update(hex(message)))).toBe(0);
});

/** The key file and the config of a repository made with `restic 0.19.1 init`, password "golden". */
const madeByRestic = {
  kdf: {
    N: 32_768,
    r: 8,
    p: 7,
    salt: Buffer.from(
      'hxbiIdmZ3nnzH4byce1hYm+p8urhBH1jrKpiYWUNvz//Pgs8ONJ815jKUVRh+qqzDBNi/cgvXGgLXjrOjcb8CA==',
      'base64',
    ),
  },
  sealedKey: Buffer.from(
    'tWL+rI4XKurlTWliLDaF+VsVyYyFIHlmKHrZfrw+CaJG69mtii8lRROtrJ4DteqL3yX4zzPL+0PnxcY0isXo13Ksoece4iRs5N8fRNc5x5kGTowvUhAHUq7D/R4KTodpc4e2L2a9KjeaoX8ed1TXhgjYWYEe1j9k0s+XYqhH1loJUbHDwhwlKN8udCQzz6khvMhXxL2oEHlOa9hRPnaT0Q==',
    'base64',
  ),
  config: Buffer.from(
    'VZuBHOdvmjs/R+EP0oL86XKf4QQVa9GSNgzKvl40sl/JQib7a75YTqYGJQptVnA1ObbpBCqVsv5YSc6TspZTyuC1CQrH8zHlAYOWBu8Grb+z3psFVPvzWsPIXUlsWH18Lf+BHLI6yiZJAfwHxOpt03D7pJancCDOQ3sOeO6WwYIGE6pfYMDZIS9Pb8EAFD/i6mBAKSQByzDEph8=',
    'base64',
  ),
};

test('a repository made by restic opens with its password, and with no other', async () => {
  const json = (bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString());
  const passwordKey = await deriveKey('golden', madeByRestic.kdf);
  const master = json(new Sealer(passwordKey, kernel).open(madeByRestic.sealedKey));
  const base64 = (text: string): Uint8Array => Buffer.from(text, 'base64');
  const masterKey = { encrypt: base64(master.encrypt), macK: base64(master.mac.k), macR: base64(master.mac.r) };
  expect(json(new Sealer(masterKey, kernel).open(madeByRestic.config))).toEqual({
    version: 2,
    id: '5f07ccbd0e5ab6fdc12d60d16a404a578c2679c2079a667adbaf78eb70ab956d',
    chunker_polynomial: '3aa50757290e57',
  });
  const wrong = await deriveKey('Golden', madeByRestic.kdf);
  expect(() => new Sealer(wrong, kernel).open(madeByRestic.sealedKey)).toThrow(damaged);
});

test.each([
  { N: 32_767 },
  { N: 0 },
  { N: 1 },
  { N: 2 ** 24 },
  { N: 2 ** 40 },
  { r: 0 },
  { r: 2 ** 20 },
  { p: 0 },
  { p: 1.5 },
  { p: 2 ** 30 },
])('scrypt is not asked for what it cannot or must not do: %j', async (parameters) => {
  await expect(deriveKey('x', { ...defaultKdf, salt: new Uint8Array(64), ...parameters })).rejects.toMatchObject({
    code: 'repository.unsupported',
  });
});
