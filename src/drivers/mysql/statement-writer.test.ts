import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Column } from './catalog.ts';
import { RowPackets } from './row-packets.ts';
import { StatementWriter } from './statement-writer.ts';

const column: Column = { name: 'v', type: 'varchar', charset: 'utf8mb4', generated: false };

/** A row of one text, each part of at most 2^24 - 1 bytes in a packet of its own. */
function packets(text: Buffer, number: number): Buffer {
  const head = Buffer.alloc(9);
  head[0] = 0xfe;
  head.writeBigUInt64LE(BigInt(text.length), 1);
  const payload = text.length < 251 ? Buffer.concat([Buffer.from([text.length]), text]) : Buffer.concat([head, text]);
  const parts: Buffer[] = [];
  for (let from = 0; ; from += 0xffffff) {
    const part = payload.subarray(from, from + 0xffffff);
    const header = Buffer.alloc(4);
    header.writeUIntLE(part.length, 0, 3);
    header[3] = (number + parts.length) & 255;
    parts.push(header, part);
    if (part.length < 0xffffff) return Buffer.concat(parts);
  }
}

const ending = Buffer.from([5, 0, 0, 9, 0xfe, 0, 0, 2, 0]);

interface Taken {
  readonly sql: string;
  readonly rows: Buffer;
  readonly count: number;
  readonly after: string | undefined;
}

function takenIn(stream: Buffer, sizes: readonly number[]): Taken {
  using writer = new StatementWriter('t', [column]);
  const rows: Buffer[] = [];
  let count = 0;
  const reader = new RowPackets((bytes, some) => {
    rows.push(Buffer.from(bytes));
    count += some;
    writer.take(bytes);
  });
  let after: Buffer | undefined;
  const copy = Buffer.from(stream);
  for (let at = 0, turn = 0; at < copy.length && after === undefined; turn++) {
    const size = sizes[turn % sizes.length];
    after = reader.push(copy.subarray(at, at + size));
    at += size;
  }
  writer.end();
  return {
    sql: Buffer.concat(writer.pieces).toString('utf8'),
    rows: Buffer.concat(rows),
    count,
    after: after?.toString('hex'),
  };
}

test('rows are the same however their bytes arrive, and what ends them is left over', () => {
  const texts = fc.array(fc.string({ maxLength: 400 }), { maxLength: 30 });
  const cuts = fc.array(fc.integer({ min: 5, max: 300 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(texts, cuts, (values, sizes) => {
      const stream = Buffer.concat([...values.map((text, at) => packets(Buffer.from(text), at)), ending]);
      const whole = takenIn(stream, [stream.length]);
      const cut = takenIn(stream, sizes);
      expect(cut.rows.equals(whole.rows)).toBe(true);
      expect(cut.sql).toBe(whole.sql);
      expect(cut.count).toBe(values.length);
      expect(ending.toString('hex').startsWith(cut.after!.slice(0, 10))).toBe(true);
    }),
  );
});

test('rows of more than the kernel takes, and of several packets, are statements of their own between the others', () => {
  const long = (bytes: number): Buffer => Buffer.alloc(bytes, "it's long. ");
  const values = ['a', 'b', 'c'].map((text) => Buffer.from(text));
  const all = [values[0], long(3 << 20), values[1], long(0xffffff - 9), long(40_000_000), values[2]];
  const { sql, count, rows } = takenIn(Buffer.concat([...all.map(packets), ending]), [65_536]);
  expect(count).toBe(all.length);
  const written = all.map((text) => `('${text.toString().replaceAll("'", "\\'")}')`);
  expect(sql.replaceAll(/,\n|;\n|INSERT INTO `t` \(`v`\) VALUES\n/g, '|')).toBe(
    `|${written[0]}|${written[1]}||${written[2]}|${written[3]}||${written[4]}||${written[5]}|`,
  );
  expect(rows.length).toBe(all.reduce((sum, text) => sum + 4 + (text.length < 251 ? 1 : 9) + text.length, 0));
});

test('statements end where the content says so, and not because of what came before', () => {
  const texts = Array.from({ length: 20_000 }, (_, at) => Buffer.from(`row ${at} ${'x'.repeat(at % 211)}`));
  const statements = (rows: readonly Buffer[]): string[] =>
    takenIn(Buffer.concat([...rows.map(packets), ending]), [65_536]).sql.split(';\n');
  const before = statements(texts);
  const after = new Set(statements(texts.toSpliced(3000, 1)));
  expect(before.length).toBeGreaterThan(3);
  expect(before.filter((one) => !after.has(one)).length).toBeLessThanOrEqual(2);
});
