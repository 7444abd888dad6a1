import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { lookScript, parseLook } from './look-script.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-look-'));
  mkdirSync(join(folder, 'a b/.hidden'), { recursive: true });
  mkdirSync(join(folder, 'node_modules'));
  const header = Buffer.concat([Buffer.from('SQLite format 3\0'), Buffer.alloc(4080)]);
  writeFileSync(join(folder, 'a b/it’s $(x) "y".db'), header);
  writeFileSync(join(folder, 'a b/.hidden/h.db'), header);
  writeFileSync(join(folder, 'node_modules/n.sqlite'), header);
  writeFileSync(join(folder, 'text.db'), 'SQLite format 2\0');
  writeFileSync(join(folder, 'empty.sqlite3'), '');
});

afterAll(() => rmSync(folder, { recursive: true }));

it.each([['sh'], ['busybox', 'sh']])(
  'finds databases by their header with %s, whatever they are called',
  (...shell) => {
    const told = execFileSync(shell[0], [...shell.slice(1), '-c', lookScript, 'look', folder, '/nowhere'], {
      encoding: 'utf8',
    });
    const { files, isComplete } = parseLook(told, false);
    expect([files, isComplete]).toEqual([[{ path: join(folder, 'a b/it’s $(x) "y".db'), sizeBytes: 4096 }], true]);
  },
);

const told = [
  'P 10 1 postgres',
  'N 10 net:[1]',
  'S 10 77',
  'L 10 0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0        0 77 1 0000',
  'L 10 1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0        0 78 1 0000',
  'P 11 10 postgres',
  'N 11 net:[1]',
  'P 20 1 redis-server',
  'N 20 net:[2]',
  'N self net:[1]',
  'D PostgreSQL /var/lib/postgresql/15/main',
  'D MySQL /var/lib/mysql',
];

it('tells servers with the ports they listen at, their workers apart, and data of those that do not run', () => {
  expect(parseLook([...told, 'E', ''].join('\n'), false)).toEqual({
    files: [],
    servers: [
      { kind: 'PostgreSQL', ports: [0x1538] },
      { kind: 'Redis', ports: [] },
      { kind: 'MySQL or MariaDB', ports: [], directory: '/var/lib/mysql' },
    ],
    isComplete: true,
  });
});

it('leaves what runs in containers to their engine, and knows when it was cut short', () => {
  const { servers, isComplete } = parseLook(told.join('\n'), true);
  expect([servers.map(({ kind }) => kind), isComplete]).toEqual([['PostgreSQL', 'MySQL or MariaDB'], false]);
});
