import { expect, test } from 'vitest';
import { tellNamesOfSource } from './restored-programs.ts';

const told = (sql: string, { source = 'shop', target = 'copy', tables = ['orders'] } = {}): string[] =>
  tellNamesOfSource({
    ...{ source, target, tables },
    programs: [{ section: { kind: 'program', program: 'view', name: 'v' }, sql: `CREATE VIEW v AS SELECT ${sql}` }],
  });

test('what names the database it was backed up from is told, if it was restored under another name', () => {
  const names = [expect.stringMatching(/^in copy these name the database shop .*: view v$/)];
  for (const sql of [
    '1 FROM `shop`.`orders`',
    '1 FROM shop.orders',
    '`shop`.`orders`.`id` FROM x',
    '1 FROM SHOP.`orders`',
  ]) {
    expect(told(sql), sql).toEqual(names);
    expect(told(sql, { target: 'shop' }), sql).toEqual([]);
  }
  for (const sql of ['1 FROM `workshop`.`orders`', '`orders`.`shop` FROM orders', "'in the shop. A'"]) {
    expect(told(sql), sql).toEqual([]);
  }
  expect(told('`shop`.`id` FROM `shop`', { tables: ['shop'] })).toEqual([]);
  expect(told('`shop`.`shop`.`id` FROM `shop`.`shop`', { tables: ['shop'] })).toEqual(names);
});
