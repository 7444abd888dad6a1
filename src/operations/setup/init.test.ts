import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { parseConfig } from '../../config/index.ts';
import { drivers } from '../../drivers/registry.ts';
import { hostKinds } from '../../hosts/registry.ts';
import { silent } from '../../model/run.ts';
import { channelKinds } from '../../notify/registry.ts';
import { storageKinds } from '../../storage/registry.ts';
import { init } from './init.ts';
import { starterConfig } from './init-text.ts';
import { lookAround } from './look-around.ts';

let folder: string;
const known = { drivers, storageKinds, hostKinds, channelKinds };
const signal = new AbortController().signal;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-init-'));
  mkdirSync(join(folder, 'srv/app/node_modules/x'), { recursive: true });
  for (const name of ['srv/app/app.db', 'srv/app.sqlite3', 'srv/app/node_modules/x/hidden.db']) {
    const database = new DatabaseSync(join(folder, name));
    database.exec('CREATE TABLE t (a)');
    database.close();
  }
  writeFileSync(join(folder, 'srv/app/thumbs.db'), 'not a database at all');
  writeFileSync(join(folder, 'srv/app/docker-compose.yml'), '');
});
afterEach(() => rmSync(folder, { recursive: true }));

function run(overrides: object = {}) {
  const request = {
    file: join(folder, 'holdfast.yaml'),
    repository: '/mnt/nas/x',
    passwordFile: join(folder, 'private/password'),
    roots: [join(folder, 'srv')],
    ...overrides,
  };
  return init.run(request, { ...known, env: {}, clock: systemClock, signal, report: silent });
}

describe('init', () => {
  it('finds databases by their header and compose files by their name', async () => {
    const found = await lookAround({ roots: [folder, join(folder, 'none')], clock: systemClock, signal });
    expect(found.databases.map((one) => one.path).sort()).toEqual([
      join(folder, 'srv/app.sqlite3'),
      join(folder, 'srv/app/app.db'),
    ]);
    expect(found.composeFiles).toEqual([join(folder, 'srv/app/docker-compose.yml')]);
    expect(found.incomplete).toBe(false);
  });

  it('shows what else there is as comments, which are valid as they stand', async () => {
    const { file } = await run();
    const text = readFileSync(file, 'utf8');
    const from = text.indexOf('# Who is told');
    const shown =
      text.slice(0, from) + text.slice(from).replaceAll(/^# ((?:notifications|restores|server|users):| .*)$/gm, '$1');
    const config = parseConfig(file, Buffer.from(shown), known);
    expect([...config.notifications.keys(), ...config.restores.keys(), ...config.users.keys()]).toEqual([
      'phone',
      'rehearsal',
      'anna',
    ]);
    expect(config.server.labels).toBe(true);
  });

  it('writes a configuration that is valid and a password only its owner reads', async () => {
    const output = await run();
    expect(output.sources).toHaveLength(3);
    expect(output.passwordMade).toBe(true);
    expect(statSync(output.passwordFile).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, 'private')).mode & 0o777).toBe(0o700);
    expect(readFileSync(output.passwordFile, 'utf8')).toMatch(/^[\w-]{43}\n$/);
  });

  it('overwrites nothing', async () => {
    await run();
    const password = readFileSync(join(folder, 'private/password'), 'utf8');
    await expect(run()).rejects.toMatchObject({ code: 'usage.invalid' });
    const other = await run({ file: join(folder, 'other.yaml') });
    expect(other.passwordMade).toBe(false);
    expect(readFileSync(join(folder, 'private/password'), 'utf8')).toBe(password);
  });

  it('gives every name once and quotes what YAML would misread', () => {
    const paths = [
      '/a b/x: y.db',
      '/one/data.db',
      '/two/data.db',
      '/three/data.db',
      '/one/Ünïcode #1.db',
      '/z/latest.db',
      '/a/---.db',
    ];
    const text = starterConfig({
      repository: 's3:https://x/y',
      passwordFile: '/p: #w',
      isRoot: false,
      databases: [...paths, ...paths].map((path) => ({ path, sizeBytes: 1 })),
      composeFiles: ['/a/"quoted"/compose.yaml'],
      servers: [{ kind: 'PostgreSQL', path: '/var/lib/postgresql/17/main' }],
      incomplete: true,
    });
    const config = parseConfig('/x/holdfast.yaml', Buffer.from(text), known);
    expect(config.sources.size).toBe(13);
    expect(config.sources.get('latest')).toBeUndefined();
    expect([...config.sources.values()].map((one) => (one.settings as { path?: string }).path)).toContain(
      '/a b/x: y.db',
    );
  });
});
