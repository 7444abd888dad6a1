import { expect, test } from 'vitest';
import { choosePartitioned, lineageIn, type Named, partitionNotes } from './partitions.ts';

interface Table {
  readonly name: string;
  readonly of?: string;
}

/** orders has the partitions p26 and p25, that one has p25a and p25b; other is none. */
const all: readonly Table[] = [
  { name: 'orders' },
  { name: 'p26', of: 'orders' },
  { name: 'p25', of: 'orders' },
  { name: 'p25a', of: 'p25' },
  { name: 'p25b', of: 'p25' },
  { name: 'other' },
];
const lineage = lineageIn(
  all,
  ({ name }) => name,
  ({ of }) => of,
);

function choose(wanted: readonly string[], unwanted: readonly string[] = [], emptied: readonly string[] = []) {
  const among = (names: readonly string[]) => (one: Table) => names.includes(one.name);
  const named: Named<Table> = { isWanted: among(wanted), isUnwanted: among(unwanted), isEmptied: among(emptied) };
  const chosen = choosePartitioned(all, lineage, named.isWanted, named.isUnwanted);
  const notes = partitionNotes(all, lineage, chosen, named, {
    name: ({ name }) => name,
    holdsRows: ({ name }) => !['orders', 'p25'].includes(name),
  });
  return { chosen: all.filter((one) => chosen.has(one)).map(({ name }) => name), notes };
}
const everything = all.map(({ name }) => name);

test('a table brings its partitions of every level', () => {
  expect(choose(['orders'])).toEqual({ chosen: ['orders', 'p26', 'p25', 'p25a', 'p25b'], notes: [] });
  expect(choose(['other'])).toEqual({ chosen: ['other'], notes: [] });
});

test('a partition brings what it is attached to, but not its like, and that is told', () => {
  expect(choose(['p25b'])).toEqual({
    chosen: ['orders', 'p25', 'p25b'],
    notes: ['not stored are 2 of the 3 partitions of orders: p26, p25a'],
  });
});

test('a partition that is left out or emptied is told', () => {
  expect(choose(['orders', 'other'], ['p25'], ['p26'])).toEqual({
    chosen: ['orders', 'p26', 'other'],
    notes: [
      'not stored are 2 of the 3 partitions of orders: p25a, p25b',
      'stored without their rows are 1 of the 3 partitions of orders: p26',
    ],
  });
});

test('a table that is left out or emptied takes its partitions along, which is told unless they are named, too', () => {
  const along = choose(everything, ['orders']);
  expect(along.chosen).toEqual(['other']);
  expect(along.notes).toEqual(['not stored are 3 of the 3 partitions of orders: p26, p25a, p25b']);
  expect(choose(everything, [], ['orders']).notes).toEqual([
    'stored without their rows are 3 of the 3 partitions of orders: p26, p25a, p25b',
  ]);
  const allOfThem = everything.filter((name) => name !== 'other');
  expect(choose(everything, allOfThem).notes).toEqual([]);
  expect(choose(everything, [], allOfThem).notes).toEqual([]);
});
