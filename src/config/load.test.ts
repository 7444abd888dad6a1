import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { secretSetting } from '../base/secret-reference.ts';
import type { AnyDriver } from '../drivers/driver.ts';
import type { AnyHostKind } from '../hosts/host.ts';
import type { AnyStorageKind } from '../storage/storage.ts';
import { ConfigError, loadConfig, type Problem, parseConfig } from './index.ts';

const driverOf = (name: string, settings: z.ZodType): AnyDriver => ({ name, settings }) as AnyDriver;
const sshLike: AnyHostKind = {
  name: 'ssh',
  title: 'SSH',
  settings: z.strictObject({
    ssh: z.string().describe('user@host'),
    key: secretSetting('a key').optional(),
    jump: z.string().optional(),
  }),
  references: ['jump'],
  open: async () => {
    throw new Error('no host is opened here');
  },
};
const known = {
  drivers: [
    driverOf('sqlite', z.strictObject({ path: z.string().describe('the database file') })),
    driverOf('command', z.strictObject({ secrets: z.record(z.string(), secretSetting('a secret')).optional() })),
    driverOf('files', z.strictObject({ paths: z.array(z.string()).min(1), exclude: z.array(z.string()).default([]) })),
  ],
  hostKinds: [sshLike],
  channelKinds: [],
  storageKinds: [
    { name: 'local', urlForm: '/path', recognises: (url: string) => url.startsWith('/') },
    {
      name: 's3',
      urlForm: 's3:https://host/bucket',
      recognises: (url: string) => url.startsWith('s3:'),
      settings: z.strictObject({
        region: z.string().optional(),
        secretAccessKey: secretSetting('the secret key').optional(),
      }),
    },
  ] as AnyStorageKind[],
};

const good = `
repositories:
  nas: { url: repo, password: { file: ~/pw }, keep: { last: 5 } }
  r2: { url: "s3:https://x/y", s3: { region: auto }, password: { env: PW } }
policies:
  nightly:
    schedule: "0 2 * * *"
    timezone: Europe/Madrid
    jitter: 5m
    repositories:
      - { name: nas, keep: { last: 3, daily: 7, within: 7d, yearly: all } }
      - r2
    drill: { schedule: "0 6 * * *" }
sources:
  tracker: { driver: sqlite, path: db/tracker.db, policy: nightly }
  no: { driver: files, paths: [/etc, ~/x], repository: nas }
`;

function load(text: string | Uint8Array) {
  return parseConfig('/etc/holdfast/holdfast.yaml', Buffer.from(text as string), known, { shown: 'holdfast.yaml' });
}

function problemsOf(text: string | Uint8Array): readonly Problem[] {
  try {
    load(text);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

/** `line:column path message — remedy` of each error. */
function errorsOf(text: string | Uint8Array): string[] {
  return problemsOf(text)
    .filter((p) => p.level === 'error')
    .map((p) => `${p.line}:${p.column} ${p.path} ${p.message} — ${p.remedy}`);
}

describe('a configuration', () => {
  it('is typed, with absolute paths and what each source inherits', () => {
    const config = load(good);
    expect(config.repositories.get('nas')).toMatchObject({
      url: '/etc/holdfast/repo',
      password: { path: join(homedir(), 'pw') },
    });
    expect(config.policies.get('nightly')).toMatchObject({ jitterMs: 300_000, drill: { snapshot: 'latest' } });
    expect(config.sources.get('tracker')).toMatchObject({
      host: 'local',
      settings: { path: '/etc/holdfast/db/tracker.db' },
      placements: [{ repository: 'nas', keep: { last: 3, daily: 7, within: '7d', yearly: -1 } }, { repository: 'r2' }],
    });
    expect(config.sources.get('no')).toMatchObject({
      settings: { paths: ['/etc', join(homedir(), 'x')], exclude: [] },
      placements: [{ repository: 'nas', keep: { last: 5 } }],
    });
    expect(config.repositories.get('r2')?.settings).toEqual({ region: 'auto' });
    expect(config.warnings).toEqual([]);
  });

  it('knows the settings of each storage, and refuses those of another', () => {
    expect(errorsOf(good.replace('region: auto', 'regon: auto'))[0]).toContain(
      'repositories.r2.s3.regon is not known here — Did you mean «region»?',
    );
    expect(errorsOf(good.replace('url: repo,', 'url: repo, s3: {},'))[0]).toContain(
      'repositories.nas.s3 does not belong to the URL',
    );
    expect(errorsOf(good.replace('s3: { region: auto }', 's3: auto'))[0]).toContain('is no mapping of settings');
    const clear = load(good.replace('region: auto', 'secretAccessKey: hunter2'));
    expect(clear.warnings[0]).toMatchObject({ kind: 'clear-secret', path: 'repositories.r2.s3.secretAccessKey' });
    expect(JSON.stringify(clear.repositories.get('r2'))).not.toContain('hunter2');
    const later = load(good.replace('s3:https', 'azure:https').replace('s3: { region: auto }, ', ''));
    expect(later.warnings.map((w) => `${w.line} ${w.path}`)).toEqual(['4 repositories.r2.url']);
  });

  it('is refused with every error at once, each with its place and a remedy', () => {
    const text = good
      .replace('schedule: "0 2 * * *"', 'shedule: "0 2 * * *"')
      .replace('Europe/Madrid', 'Europe/Madird')
      .replace('driver: sqlite', 'driver: sqllite')
      .replace('repository: nas', 'repository: nass')
      .replace('yearly: all', 'yearly: many');
    expect(errorsOf(text)).toEqual([
      '7:5 policies.nightly.shedule is not known here — Did you mean «schedule»?',
      '8:15 policies.nightly.timezone is not a time zone — Expected: a name like Europe/Madrid, or UTC.',
      '11:69 policies.nightly.repositories[0].keep.yearly is not a count of snapshots — Expected: a whole number; -1 or all = every one.',
      '15:22 sources.tracker.driver «sqllite» is not a driver — Did you mean «sqlite»?',
      '16:56 sources.no.repository names the repository «nass», which is not declared — Did you mean «nas»?',
    ]);
  });

  it('refuses null and unknown references', () => {
    expect(errorsOf(good.replace('policy: nightly }', 'policy: }'))[0]).toMatch(
      /^15:51 sources.tracker.policy is empty/,
    );
    expect(errorsOf(good.replace('policy: nightly }', 'policy: weekly }'))[0]).toContain(
      'names the policy «weekly», which is not declared',
    );
    expect(errorsOf(good.replace(', repository: nas', ''))[0]).toContain('is stored nowhere');
    expect(errorsOf(good.replace('      - r2', '      - nas'))[0]).toContain('names the repository «nas» twice');
    expect(errorsOf(good.replace('driver: files,', 'driver: files, host: box,'))[0]).toContain('names the host «box»');
  });

  it('lets the driver check its own settings and suggests its keys', () => {
    expect(errorsOf(good.replace('path: db/tracker.db', 'paht: x'))).toEqual([
      '15:3 sources.tracker.path is missing — Expected: the database file.',
      '15:30 sources.tracker.paht is not known here — Did you mean «path»?',
    ]);
    expect(errorsOf(good.replace('[/etc, ~/x]', '[/etc, 5]'))[0]).toBe(
      '16:38 sources.no.paths[1] must be a text, not 5 — Correct it, or remove the line.',
    );
  });

  it('takes a map of secrets, each checked and kept as a reference', () => {
    const withSecrets = (secrets: string) =>
      good.replace('driver: files, paths: [/etc, ~/x]', `driver: command, secrets: ${secrets}`);
    const { settings } = load(withSecrets('{ A: { env: X }, B: hunter2 }')).sources.get('no')!;
    expect(settings).toMatchObject({ secrets: { A: { from: 'env', name: 'X' }, B: { from: 'clear' } } });
    expect(JSON.stringify(settings)).not.toContain('hunter2');
    expect(errorsOf(withSecrets('{ A: { evn: X } }'))[0]).toContain('sources.no.secrets.A does not say where');
    expect(errorsOf(withSecrets('[A]'))[0]).toContain('sources.no.secrets must be a mapping');
  });

  it('accepts a secret in the clear with a warning that names the line, and nothing that only looks like one', () => {
    const clear = load(good.replace('{ file: ~/pw }', 'hunter2'));
    expect(clear.warnings[0]).toMatchObject({ line: 3, kind: 'clear-secret', path: 'repositories.nas.password' });
    expect(JSON.stringify(clear.repositories.get('nas'))).not.toContain('hunter2');
    expect(errorsOf(good.replace('{ file: ~/pw }', '$PW'))[0]).toContain('Write { env: PW }');
    expect(errorsOf(good.replace('{ file: ~/pw }', '12345'))[0]).toContain('needs quotes');
    expect(errorsOf(good.replace('{ file: ~/pw }', '{ vault: a#b }'))[0]).toContain('vault');
    expect(errorsOf(good.replace('{ file: ~/pw }', ''))[0]).toMatch(/password is empty/);
    expect(errorsOf(good.replace('password: { file: ~/pw },', ''))[0]).toMatch(/password is missing/);
  });

  it('reads hosts by the key that says how they are reached, with their secrets as references', () => {
    const hosts = `hosts:\n  box: { ssh: root@box, key: { file: ~/.ssh/id }, jump: gate }\n  gate: { ssh: gate }\n`;
    expect(load(good + hosts).hosts.get('box')).toEqual({
      name: 'box',
      kind: 'ssh',
      settings: { ssh: 'root@box', key: { from: 'file', path: join(homedir(), '.ssh/id') }, jump: 'gate' },
      references: ['gate'],
    });
    expect(load(`${good}${hosts}`.replace('jump: gate', 'jump: me@gate.example')).hosts.get('box')?.references).toEqual(
      [],
    );
    expect(load(`${good}${hosts}`.replace('{ file: ~/.ssh/id }', 'hunter2')).warnings.map((w) => w.path)).toContain(
      'hosts.box.key',
    );
    expect(errorsOf(`${good}${hosts}`.replace('jump: gate', 'jump: gat'))[0]).toContain('names the host «gat»');
    expect(errorsOf(`${good}${hosts}`.replace('ssh: gate', 'ssh: gate, jump: box'))[0]).toContain('through itself');
    expect(errorsOf(`${good}${hosts}`.replace('ssh: gate', 'telnet: gate'))[0]).toContain(
      'does not say how it is reached',
    );
    expect(errorsOf(`${good}${hosts}`.replace('key:', 'keys:'))[0]).toContain('Did you mean «key»?');
    expect(errorsOf(`${good}${hosts}`.replace('jump: gate', 'limits: '))[0]).toContain('hosts.box.limits');
    expect(errorsOf(good.replace('s3: { region: auto }', 's3: '))[0]).toContain('repositories.r2.s3 is empty');
  });

  it('reads the limits of a host, and says where they are wrong', () => {
    const hosts = (limits: string) => `hosts:\n  box: { ssh: root@box, limits: ${limits} }\n`;
    const { limits } = load(good + hosts('{ download: 5MiB/s }')).hosts.get('box')!;
    expect(limits).toEqual({ download: { windows: [{ bytesPerSecond: 5 << 20 }] } });
    expect(() => load(good + hosts('{ download: 5MiB/s, concurrency: 2 }'))).toThrow(/hosts\.box\.limits\.concurrency/);
    expect(() => load(good + hosts('{ download: fast }'))).toThrow(/hosts\.box\.limits\.download/);
  });

  it('keeps names like no and on as they are, and refuses what YAML would hide', () => {
    expect([...load(good).sources.keys()]).toEqual(['tracker', 'no']);
    expect(errorsOf('sources: {}\nsources: {}')[0]).toMatch(/^2:1 {2}is not valid YAML/);
    expect(errorsOf('sources:\n\ta: 1')[0]).toContain('Indent with spaces');
    expect(errorsOf('%YAML 1.1\n---\nsources: {}')[0]).toContain('YAML 1.1');
    expect(errorsOf('a: 1\n---\nb: 1')[0]).toContain('Keep one document');
    expect(errorsOf('sources: !x {}')[0]).toContain('Remove the tag');
    expect(errorsOf('sources: *x')[0]).toContain('Define the anchor');
    expect(errorsOf('')[0]).toContain('the file is empty');
    expect(errorsOf('- a')[0]).toContain('not a mapping');
    expect(errorsOf('sources:\n  __proto__: { driver: sqlite, path: x, repository: y }').join()).toContain(
      'is not a name',
    );
    expect(errorsOf('souces: {}')[0]).toBe('1:1 souces is not known here — Did you mean «sources»?');
  });

  it('accepts anchors and merges, within bounds', () => {
    const merged = good
      .replace('tracker: {', 'tracker: { <<: *base,')
      .replace('repositories:', 'x-base: &base { host: local }\nrepositories:');
    expect(load(merged).sources.get('tracker')?.host).toBe('local');
    const bomb = ['x-a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
    for (let i = 1; i < 9; i++)
      bomb.push(
        `x-a${i}: &a${i} [${Array(10)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
      );
    expect(errorsOf(bomb.join('\n'))[0]).toContain('expands its aliases');
    expect(errorsOf('x-a: &a { b: *a }\nsources: *a').length).toBeGreaterThan(0);
  });

  it('names the line of bytes that are not UTF-8, and refuses what is far too large or deep', () => {
    const latin1 = Buffer.concat([Buffer.from('sources: {}\n# caf'), Buffer.from([0xe9, 10])]);
    expect(errorsOf(latin1)[0]).toMatch(/^2:6 {2}holds bytes that are not UTF-8/);
    expect(errorsOf(Buffer.from(good, 'utf16le').subarray(0)).length).toBeGreaterThan(0);
    expect(errorsOf(Buffer.alloc((4 << 20) + 1, 0x20))[0]).toContain('larger than 4 MiB');
    expect(errorsOf('['.repeat(50_000)).length).toBeGreaterThan(0);
  });

  it('never throws anything but a ConfigError, whatever a line becomes', () => {
    const lines = good.split('\n');
    fc.assert(
      fc.property(fc.nat(lines.length - 1), fc.string({ maxLength: 40 }), fc.boolean(), (at, junk, replace) => {
        const text = lines.with(at, replace ? junk : lines[at] + junk).join('\n');
        for (const problem of problemsOf(text)) {
          expect(problem.line).toBeGreaterThan(0);
          expect(problem.remedy).not.toBe('');
        }
      }),
      { numRuns: 300 },
    );
  });

  it('says so when the file is missing', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-config-'));
    try {
      await expect(loadConfig(join(folder, 'none.yaml'), known)).rejects.toMatchObject({ code: 'config.missing' });
      await expect(loadConfig(folder, known)).rejects.toMatchObject({ code: 'config.missing' });
      await writeFile(join(folder, 'holdfast.yaml'), good);
      expect((await loadConfig(join(folder, 'holdfast.yaml'), known)).repositories.get('nas')?.url).toBe(
        join(folder, 'repo'),
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
