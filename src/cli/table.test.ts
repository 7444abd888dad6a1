import { expect, it } from 'vitest';
import { counted, facts, table } from './table.ts';

it('aligns columns and makes hostile names harmless', () => {
  const rows = [
    { name: 'ä', size: '1' },
    { name: 'evil\u001b[2J\nname', size: '1000' },
  ];
  const text = table(rows, [
    { title: 'NAME', value: (row) => row.name },
    { title: 'SIZE', align: 'right', value: (row) => row.size },
  ]);
  expect(text.split('\n')).toEqual([
    'NAME                    SIZE',
    '──────────────────────  ────',
    'ä                          1',
    'evil\\u{1b}[2J\\u{a}name  1000',
  ]);
});

it('lists facts that there are', () => {
  expect(
    facts([
      ['a', '1'],
      ['long', undefined],
      ['bcd', '2'],
    ]),
  ).toBe('a    1\nbcd  2');
});

it('counts in words', () => {
  expect([counted(0, 'file'), counted(1, 'file'), counted(2, 'policy', 'policies')]).toEqual([
    '0 files',
    '1 file',
    '2 policies',
  ]);
});
