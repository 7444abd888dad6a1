/**
 * Every decoder against bytes nobody wrote: random ones, documents of real repositories with bits flipped, parts cut out,
 * doubled and mixed, and JSON that is deep or huge. What is not refused with one of our two codes is a fault, and so is
 * anything that takes long.
 */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hasCode } from '../../base/errors.ts';
import { decodeConfig } from './config.ts';
import { decodeIndexFile } from './index-file.ts';
import { decodeKeyFile, decodeMasterKey } from './key-file.ts';
import { decodeLock } from './lock.ts';
import { decodePackHeader, parseTail } from './pack-header.ts';
import { decodeSnapshot } from './snapshot.ts';
import { decodeTree, encodeTree } from './tree.ts';
import { decodeUnpacked } from './unpacked.ts';

interface Document {
  readonly json: string;
  readonly envelope: string;
}
const vectors = JSON.parse(
  readFileSync(new URL('../../../test/vectors/restic/new-v2.json', import.meta.url), 'utf8'),
) as Record<'keyFile' | 'masterKey' | 'config', string> &
  Record<'locks' | 'snapshots' | 'indexes' | 'trees', readonly Document[]> & {
    readonly packs: readonly { readonly header: string; readonly tail: string }[];
  };
const utf8 = (json: string): Buffer => Buffer.from(json, 'utf8');
const base64 = (text: string): Buffer => Buffer.from(text, 'base64');
const documents = (list: readonly Document[]): Buffer[] => list.map(({ json }) => utf8(json));

const decoders: readonly [string, (bytes: Uint8Array) => unknown, readonly Buffer[]][] = [
  ['tree', (bytes) => encodeAgain(bytes), documents(vectors.trees)],
  ['index file', (bytes) => decodeIndexFile(bytes, () => undefined), documents(vectors.indexes)],
  ['snapshot', decodeSnapshot, documents(vectors.snapshots)],
  ['lock', decodeLock, documents(vectors.locks)],
  ['config', decodeConfig, [utf8(vectors.config)]],
  ['key file', decodeKeyFile, [utf8(vectors.keyFile)]],
  ['master key', decodeMasterKey, [utf8(vectors.masterKey)]],
  ['envelope', decodeUnpacked, vectors.snapshots.map(({ envelope }) => base64(envelope))],
  ['pack header', (bytes) => decodePackHeader(bytes, 1 << 20), vectors.packs.map(({ header }) => base64(header))],
  ['pack tail', (bytes) => parseTail(bytes, 1 << 20), vectors.packs.map(({ tail }) => base64(tail))],
];

/** What is read as a tree can be written, unless its names are twice or in another order. */
function encodeAgain(bytes: Uint8Array): void {
  const nodes = decodeTree(bytes);
  try {
    encodeTree(nodes);
  } catch (error) {
    if (!hasCode(error, 'internal')) throw error;
  }
}

function survives(decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array): void {
  try {
    decode(bytes);
  } catch (error) {
    if (!hasCode(error, 'repository.damaged', 'repository.unsupported')) throw error;
  }
}

/** Words that mean something to one of the parsers. */
const tokens = [
  '{',
  '}',
  '[',
  ']',
  '"',
  ',',
  ':',
  '\\',
  '\\u',
  '\\ud800',
  'null',
  'true',
  '-',
  '1e999',
  '0x',
  ' ',
  '\n',
  '\0',
  '""',
  '[]',
  '{}',
  '"name":',
  '"content":["',
  '"__proto__":',
  '99999999999999999999',
  '\u2028',
].map(utf8);

/** Changes of a document: bytes replaced, a range removed, doubled, or overwritten with a token. */
const change = fc.record({
  kind: fc.constantFrom('flip', 'byte', 'remove', 'double', 'token', 'cut'),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.nat({ max: 100 }),
  value: fc.nat({ max: 255 }),
});

function apply(
  bytes: Buffer,
  { kind, at, length, value }: { kind: string; at: number; length: number; value: number },
): Buffer {
  const place = Math.floor(at * bytes.byteLength);
  const before = bytes.subarray(0, place);
  const after = bytes.subarray(place);
  switch (kind) {
    case 'flip':
      return Buffer.concat([before, after.subarray(0, 1).map((byte) => byte ^ (1 << (value & 7))), after.subarray(1)]);
    case 'byte':
      return Buffer.concat([before, Uint8Array.of(value), after.subarray(1)]);
    case 'remove':
      return Buffer.concat([before, after.subarray(length)]);
    case 'double':
      return Buffer.concat([before, after.subarray(0, length), after]);
    case 'token':
      return Buffer.concat([before, tokens[value % tokens.length], after.subarray(value & 1 ? length : 0)]);
    default:
      return before;
  }
}

describe.each(decoders)('decoding a %s', (_, decode, valid) => {
  test('that was stored works', () => {
    expect(valid.length).toBeGreaterThan(0);
    if (decode !== decoders[8][1]) for (const bytes of valid) expect(() => decode(bytes)).not.toThrow();
  });

  test('of random bytes refuses them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300, size: 'max' }), (bytes) => survives(decode, bytes)),
      { numRuns: 500 },
    );
  });

  test('of any JSON takes it or refuses it', () => {
    fc.assert(
      fc.property(fc.json(), (json) => survives(decode, utf8(json))),
      { numRuns: 300 },
    );
  });

  test('that was changed takes it or refuses it', () => {
    fc.assert(
      fc.property(fc.constantFrom(...valid), fc.array(change, { minLength: 1, maxLength: 4 }), (bytes, changes) =>
        survives(decode, changes.reduce(apply, bytes)),
      ),
      { numRuns: 1500 },
    );
  });

  test('cut anywhere refuses it', () => {
    const shortest = valid.reduce((a, b) => (b.byteLength < a.byteLength ? b : a));
    for (let length = 0; length < shortest.byteLength; length++) survives(decode, shortest.subarray(0, length));
  });

  test.each([
    ['lists in lists', '['.repeat(500_000)],
    ['objects in objects', '{"nodes":'.repeat(100_000)],
    ['nodes in nodes', '{"nodes":['.repeat(100_000)],
    ['unknown fields within', `{"x":${'[{"x":'.repeat(100_000)}`],
    ['a text without end', `{"${'a'.repeat(2_000_000)}`],
    ['backslashes', `{"${'\\'.repeat(2_000_001)}`],
    ['digits', `{"version":${'1'.repeat(2_000_000)}}`],
    ['spaces', `{"version":${' '.repeat(2_000_000)}1}`],
    ['a name of backslashes', `{"nodes":[{"name":"${'\\\\'.repeat(500_000)}"}]}`],
    ['a time of digits', `{"time":"2026-01-01T00:00:00.${'0'.repeat(1_000_000)}"}`],
    ['unknown fields', `{${'"x":1,'.repeat(500_000)}"x":1}`],
    ['unknown fields of a node', `{"nodes":[{${'"x":1,'.repeat(500_000)}"name":"a"}]}`],
    ['unknown fields of a summary', `{"summary":{${'"x":1,'.repeat(500_000)}"x":1}}`],
    ['lists that begin and begin', `{"nodes":[{"content":${'["'.repeat(500_000)}`],
    ['empty nodes', `{"nodes":[${'{},'.repeat(300_000)}`],
  ])('of %s ends', (_name, json) => {
    // Milliseconds where it is linear; where it would be quadratic the runner's limit is exceeded.
    survives(decode, utf8(json));
  });
});
