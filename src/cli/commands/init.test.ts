import { expect, it } from 'vitest';
import { describeInit } from './init.ts';

const found = {
  file: '/root/holdfast.yaml',
  passwordFile: '/root/.config/holdfast/password',
  passwordMade: true,
  repository: '/var/backups/holdfast',
  sources: ['configs'],
  databases: [],
  composeFiles: [],
  servers: [],
  incomplete: false,
};

it.each(['PostgreSQL', 'MySQL or MariaDB', 'MongoDB', 'Redis'])(
  'a %s that was found has a line in the file, and it is said where',
  (kind) => {
    const text = describeInit({ ...found, servers: [{ kind, path: '/var/lib/data' }] }, 'holdfast.yaml');
    expect(text).toContain(`${kind} in /var/lib/data: a line for it is in holdfast.yaml, as a comment; complete it`);
    expect(text).not.toContain('no driver');
  },
);

it('the next steps name the file where it has another name', () => {
  expect(describeInit(found, 'holdfast.yaml')).toContain('\n  holdfast repo init nas\n');
  expect(describeInit(found, 'home.yaml')).toContain('\n  holdfast --config home.yaml repo init nas\n');
});
