import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Column } from './catalog.ts';
import { RowKernel } from './row-kernel.ts';
import { formsOf, RowWriter } from './row-writer.ts';

/** A row as a server sends it. */
function packetOf(values: readonly (Uint8Array | null)[]): Buffer {
  const parts = values.flatMap((value) => {
    if (value === null) return [Buffer.from([0xfb])];
    const { length } = value;
    const head = Buffer.alloc(9);
    if (length < 0xfb) return [Buffer.from([length]), value];
    if (length < 0x10000) return [Buffer.from([0xfc, length & 255, length >> 8]), value];
    head[0] = 0xfe;
    head.writeBigUInt64LE(BigInt(length), 1);
    return [head, value];
  });
  return Buffer.concat(parts);
}

type Columns = readonly Partial<Column>[];
type Values = readonly (Uint8Array | null)[];

/** What the writer gives, which is what the kernel must give. */
function written(columns: Columns, values: Values): string {
  const whole = columns.map((one) => ({ name: 'c', type: 'varchar', charset: undefined, generated: false, ...one }));
  const forms = formsOf(whole);
  const writer = new RowWriter(forms);
  const packet = packetOf(values);
  writer.row(packet, 0, packet.length);
  const text = writer.take().toString('utf8');
  using kernel = RowKernel.acquire();
  kernel.begin(forms, Buffer.from('+'));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(packet.length);
  kernel.write(Buffer.concat([length, packet]), 0, () => {});
  expect(kernel.take().toString('utf8').replace(/;\n$/, '')).toBe(`+${text}`);
  return text;
}

/** What a server reads from a quoted literal (String Literals, MySQL 9 manual). */
function read(literal: string): string {
  const letters: Record<string, string> = { '0': '\0', n: '\n', r: '\r', Z: '\x1a' };
  return literal.slice(1, -1).replace(/\\(.)/gs, (_, letter: string) => letters[letter] ?? letter);
}

test('every text is one line in quotes and is read back as it was', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => {
      const bytes = Buffer.from(text, 'utf8');
      const row = written([{ charset: 'utf8mb4' }], [bytes]);
      expect(row).not.toContain('\n');
      expect(read(row.slice(1, -1))).toBe(bytes.toString('utf8'));
    }),
  );
});

test('bytes of any length are hex, and nothing is an empty text', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70_000, size: 'max' }), (bytes) => {
      const hex = Buffer.from(bytes).toString('hex');
      expect(written([{ type: 'longblob' }], [bytes]).toLowerCase()).toBe(hex === '' ? "('')" : `(0x${hex})`);
    }),
    { numRuns: 30, endOnFailure: true },
  );
});

test('each kind of column is written so that no conversion happens', () => {
  const row = written(
    [
      { type: 'int' },
      { type: 'float' },
      { type: 'date' },
      { charset: 'latin1' },
      { charset: 'latin1' },
      { charset: 'utf16' },
      { type: 'bit' },
      { type: 'json' },
      { charset: 'utf8mb4' },
      { type: 'int', generated: true },
    ],
    ['1', '0.10000000149011612', '0000-00-00', 'abc', '\xe9', '\0a', '\x01', '{"a":1}', null, '2'].map((text) =>
      text === null ? null : Buffer.from(text, 'latin1'),
    ),
  );
  expect(row).toBe(`(1,0.10000000149011612,'0000-00-00','abc',_latin1 0xe9,_utf16 0x0061,0x01,'{"a":1}',NULL)`);
});

test('rows of many columns and kinds come out alike from the kernel and from the writer', () => {
  const kinds = [
    { type: 'int' },
    { charset: 'utf8mb4' },
    { type: 'blob' },
    { charset: 'latin1' },
    { charset: 'utf16' },
  ];
  const value = fc.option(fc.uint8Array({ maxLength: 300, size: 'max' }));
  const cell = fc.tuple(fc.constantFrom(...kinds), value);
  fc.assert(
    fc.property(fc.array(cell, { minLength: 1, maxLength: 60 }), (cells) => {
      const columns = cells.map(([kind]) => kind);
      // numbers are ASCII; what is copied as it is must be text here
      const values = cells.map(([kind, bytes]) =>
        (kind.type === 'int' || kind.charset === 'utf8mb4') && bytes ? bytes.map((one) => one & 127) : bytes,
      );
      expect(written(columns, values)).toMatch(/^\(.*\)$/s);
    }),
  );
});
