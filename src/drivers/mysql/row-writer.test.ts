import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Column } from './catalog.ts';
import { RowWriter } from './row-writer.ts';

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

function written(columns: readonly Partial<Column>[], values: readonly (Uint8Array | null)[]): string {
  const whole = columns.map((one) => ({ name: 'c', type: 'varchar', charset: undefined, generated: false, ...one }));
  const writer = new RowWriter(whole);
  const packet = packetOf(values);
  writer.row(packet, 0, packet.length);
  return writer.take().toString('utf8');
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
    { numRuns: 30 },
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
  expect(row).toBe(`(1,0.10000000149011612,'0000-00-00','abc',_latin1 0xE9,_utf16 0x0061,0x01,'{"a":1}',NULL)`);
});
