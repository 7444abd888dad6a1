import { describe, expect, it } from 'vitest';
import { openCatalogue } from '../../catalogue/open.ts';
import { type Config, parseConfig } from '../../config/index.ts';
import { drivers } from '../../drivers/registry.ts';
import { hostKinds } from '../../hosts/registry.ts';
import { localPrincipal, type Principal } from '../../model/principal.ts';
import type { RunPlan } from '../../policy/run-plan.ts';
import { storageKinds } from '../../storage/registry.ts';
import { planRuns } from './plan-runs.ts';
import { startRun } from './start-run.ts';

const text = `
workspaces: { shop: { title: Shop } }
repositories:
  nas: { url: /mnt/nas, password: { env: PW }, prune: { schedule: "0 6 * * 0", maxTime: 2h }, check: { schedule: "0 7 1 * *", readAllWithin: 30d } }
  r2: { url: /mnt/r2, password: { env: PW } }
policies:
  dumps: { schedule: "0 2 * * *", timezone: Europe/Madrid, jitter: 5m, timeout: 3h, repositories: [nas, r2], drill: { after: [dumps], snapshot: random } }
  files: { after: [dumps], repositories: [nas] }
  often: { every: 6h, window: { from: "01:00", to: "05:00" }, retry: { attempts: 9, delay: 1m }, repositories: [r2] }
sources:
  shop: { driver: files, paths: [/srv/shop], policy: dumps, workspace: shop }
  blog: { driver: files, paths: [/srv/blog], policy: files }
  logs: { driver: files, paths: [/srv/logs], policy: often }
  loose: { driver: files, paths: [/srv/loose], repository: nas }
restores:
  staging: { source: shop, schedule: "0 5 * * *", to: /srv/staging, timeout: 1h }
`;
const known = { drivers, storageKinds, hostKinds, channelKinds: [] };
const config: Config = parseConfig('/etc/holdfast.yaml', Buffer.from(text), known);
const plan: RunPlan = planRuns(config);
const windowed = parseConfig(
  '/etc/holdfast.yaml',
  Buffer.from(`
repositories: { nas: { url: /mnt/nas, password: { env: PW } } }
hosts:
  db: { ssh: root@db.example, key: { env: KEY }, hostKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJd0aLr3hUC5TtyXcSjAE6WeEVF0vVsM3rMGQGBmBhq5" }
  app: { ssh: app@db.example, key: { env: KEY }, hostKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJd0aLr3hUC5TtyXcSjAE6WeEVF0vVsM3rMGQGBmBhq5" }
  box: { docker: wiki }
sources:
  wiki: { driver: files, paths: [/a], repository: nas, window: { before: [{ stop: { service: wiki } }, { run: [sync] }, { stop: { container: wiki } }] } }
  inside: { driver: files, paths: [/a], repository: nas, host: box, window: { before: [{ stop: { service: wiki.service } }] } }
  far: { driver: files, paths: [/a], repository: nas, host: db, window: { before: [{ stop: { service: wiki } }] } }
  again: { driver: files, paths: [/a], repository: nas, host: app, window: { before: [{ stop: { service: wiki } }] } }
  plain: { driver: files, paths: [/a], repository: nas, window: { before: [{ run: [sync] }] } }
`),
  known,
);
const scheduled = new Map(plan.schedules.map((one) => [one.key, one]));

describe('the plan of a configuration', () => {
  it('has a schedule for everything that is due by itself', () => {
    expect(new Set(scheduled.keys())).toEqual(
      new Set([
        'backup/dumps/shop/',
        'backup/files/blog/',
        'backup/often/logs/',
        'check///nas',
        'drill/dumps/shop/nas',
        'drill/dumps/shop/r2',
        'prune///nas',
        'restore/staging/shop/',
      ]),
    );
    expect(scheduled.get('drill/dumps/shop/r2')).toMatchObject({
      ...{ source: 'shop', repository: 'r2', follows: true, input: { snapshot: 'random' } },
    });
    expect(scheduled.get('prune///nas')).toMatchObject({ input: { maxTimeMs: 7_200_000 }, host: 'local' });
    expect(scheduled.get('check///nas')).toMatchObject({ input: { due: true } });
    expect(scheduled.get('backup/often/logs/')).toMatchObject({ window: { fromMinute: 60, toMinute: 300 } });
  });

  it('drills each repository of a source, at its own times or never where the policy says so', () => {
    const drilled = parseConfig(
      '/etc/holdfast.yaml',
      Buffer.from(`
repositories:
  nas: { url: /mnt/nas, password: { env: PW } }
  r2: { url: /mnt/r2, password: { env: PW } }
  tape: { url: /mnt/tape, password: { env: PW } }
  usb: { url: /mnt/usb, password: { env: PW }, mayBeAway: 90d }
policies:
  nightly:
    schedule: "0 2 * * *"
    timezone: Europe/Madrid
    repositories: [nas, { name: r2, drill: { schedule: "0 6 1 * *" } }, { name: tape, drill: false }, usb]
    drill: { schedule: "0 5 * * *" }
  far: { schedule: "0 2 * * *", repositories: [{ name: r2, drill: { schedule: "0 6 1 * *" } }] }
  loose: { schedule: "0 2 * * *", repositories: [{ name: nas, drill: false }] }
sources:
  shop: { driver: files, paths: [/a], policy: nightly }
  only: { driver: files, paths: [/a], policy: nightly, repository: [r2] }
  there: { driver: files, paths: [/a], policy: far }
  never: { driver: files, paths: [/a], policy: loose }
`),
      known,
    );
    const { schedules, promised, touches } = planRuns(drilled);
    const drills = schedules.filter(({ kind }) => kind === 'drill');
    expect(drills.map(({ key, timing }) => [key, timing.kind === 'cron' && timing.cron])).toEqual([
      ['drill/nightly/shop/nas', '0 5 * * *'],
      ['drill/nightly/shop/r2', '0 6 1 * *'],
      ['drill/nightly/shop/usb', '0 5 * * *'],
      ['drill/nightly/only/', '0 6 1 * *'],
      ['drill/far/there/', '0 6 1 * *'],
    ]);
    expect(drills[1].timing).toMatchObject({ timezone: 'Europe/Madrid' });
    const days = promised.map(({ proofs = [] }) => proofs.map((one) => [one.repository, one.limitMs / 86_400_000]));
    const monthly = [['r2', 62]];
    expect(days).toEqual([[['nas', 2], ...monthly, ['usb', 90]], monthly, monthly, []]);
    const run = { kind: 'drill', source: 'shop', repository: 'r2', input: {}, trigger: 'schedule' } as const;
    expect(touches(run)).toEqual([{ repository: 'r2', mode: 'shared' }]);
  });

  it('lets what follows others have their times', () => {
    expect(scheduled.get('backup/files/blog/')?.timing).toBe(scheduled.get('backup/dumps/shop/')?.timing);
    expect(plan.after({ kind: 'backup', policy: 'files', input: {}, trigger: 'after' })).toEqual(['dumps']);
  });

  it('knows what a run touches, how long it may take and how often it is tried', () => {
    const run = { input: {}, trigger: 'schedule', slotMs: 1 } as const;
    for (const kind of ['backup', 'drill', 'restore'] as const) {
      const touched = plan.touches({ ...run, kind, source: 'shop' });
      expect(touched.map((one) => one.repository)).toEqual(['nas', 'r2']);
    }
    expect(plan.touches({ ...run, kind: 'prune', repository: 'nas' })).toEqual([{ repository: 'nas', mode: 'alone' }]);
    expect(plan.timeoutMs({ ...run, kind: 'backup', policy: 'dumps' })).toBe(3 * 3_600_000);
    expect(plan.timeoutMs({ ...run, kind: 'restore', input: { restore: 'staging' } })).toBe(3_600_000);
    expect(plan.retrying({ ...run, kind: 'backup', policy: 'often' })).toEqual({ attempts: 9, delayMs: 60_000 });
    expect(plan.retrying({ ...run, kind: 'backup', slotMs: undefined, policy: 'often' }).attempts).toBe(1);
    expect(plan.windowOf({ ...run, kind: 'backup', slotMs: undefined, policy: 'often' })).toBeUndefined();
  });

  it('knows what stands still meanwhile, by the same name for all hosts on one machine', () => {
    const stops = (source: string, kind: 'backup' | 'drill' = 'backup') =>
      planRuns(windowed, hostKinds).stops({ kind, source, input: {}, trigger: 'schedule' });
    expect(stops('wiki')).toEqual(['the service wiki on local', 'the container wiki on local']);
    expect(stops('inside')).toEqual(['the service wiki on local']);
    expect(stops('far')).toEqual(['the service wiki on db.example']);
    expect(stops('again')).toEqual(stops('far'));
    expect([stops('wiki', 'drill'), stops('plain')]).toEqual([[], []]);
  });

  it('promises what the policies plan', () => {
    expect(plan.promised.find((one) => one.source === 'shop')).toMatchObject({
      backupEveryMs: 86_400_000,
      proofs: ['nas', 'r2'].map((repository) => ({ repository, limitMs: 2 * 86_400_000 })),
    });
    expect(plan.promised.find((one) => one.source === 'loose')).toEqual({ source: 'loose' });
  });
});

describe('starting a run', () => {
  const operator: Principal = { kind: 'user', name: 'dev', roles: new Map([['shop', 'operator']]) };
  const start = async (input: Record<string, unknown>, principal: Principal) => {
    await using catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => 1);
    const uses = { ...known, config, env: {}, catalogue, principal, localHost: () => Promise.reject() };
    return await startRun.run(startRun.input.parse(input), uses as unknown as Parameters<typeof startRun.run>[1]);
  };

  it('queues one for each source', async () => {
    const { runs } = await start({ kind: 'backup', all: true }, localPrincipal('root'));
    expect(runs.map((run) => [run.source, run.state])).toEqual(
      ['shop', 'blog', 'logs', 'loose'].map((source) => [source, 'queued']),
    );
  });

  it('queues one drill for each repository of those that a policy or «all» chooses, and one for a source that is named', async () => {
    const root = localPrincipal('root');
    const subjects = async (input: Record<string, unknown>) =>
      (await start({ kind: 'drill', ...input }, root)).runs.map(({ source, repository }) => [source, repository]);
    const shop = [
      ['shop', 'nas'],
      ['shop', 'r2'],
    ];
    const others = [
      ['blog', 'nas'],
      ['logs', 'r2'],
      ['loose', 'nas'],
    ];
    expect(await subjects({ all: true })).toEqual([...shop, ...others]);
    expect(await subjects({ policy: 'dumps' })).toEqual(shop);
    expect(await subjects({ policy: 'dumps', repository: 'r2' })).toEqual([['shop', 'r2']]);
    expect(await subjects({ sources: ['shop'] })).toEqual([['shop', undefined]]);
  });

  it('needs the role of the operation where the source belongs', async () => {
    expect((await start({ kind: 'backup', sources: ['shop'] }, operator)).runs).toHaveLength(1);
    await expect(start({ kind: 'backup', sources: ['blog'] }, operator)).rejects.toMatchObject({
      code: 'auth.forbidden',
    });
    await expect(start({ kind: 'forget', sources: ['shop'] }, operator)).rejects.toMatchObject({
      code: 'auth.forbidden',
    });
    await expect(start({ kind: 'prune', repository: 'nas' }, operator)).rejects.toMatchObject({
      code: 'auth.forbidden',
    });
  });

  it('refuses what the operation would refuse', async () => {
    const root = localPrincipal('root');
    await expect(start({ kind: 'backup', sources: ['nothing'] }, root)).rejects.toMatchObject({
      code: 'config.unknown-name',
    });
    await expect(start({ kind: 'prune', repository: 'gone' }, root)).rejects.toMatchObject({
      code: 'config.unknown-name',
    });
    const wrong = { kind: 'prune', repository: 'nas', input: { maxTimeMs: -1 } };
    await expect(start(wrong, root)).rejects.toMatchObject({ code: 'request.invalid' });
  });

  it.each([
    'postgres://anna:geheim@db/shop',
    'POSTGRESQL://anna:ge%40heim@db:5432/shop',
    'mysql://:geheim@db',
    'redis://:geheim@[::1]:6379/0',
    'mongodb+srv://anna:geheim@a.example,b.example/shop?tls=true',
    'postgres://db/shop?user=anna&password=geheim',
    'postgres://db/shop?sslpassword=geheim',
  ])('keeps no password that stands in the input: %s', async (to) => {
    const root = localPrincipal('root');
    for (const input of [{ to }, { to: '/srv/x', include: [to] }]) {
      const refused = start({ kind: 'restore', sources: ['shop'], input }, root);
      await expect(refused).rejects.toMatchObject({ code: 'request.invalid' });
      await expect(refused).rejects.not.toThrow('geheim');
    }
  });

  it.each([
    '/srv/back',
    'far:/srv/back',
    'staging',
    'postgres://anna@db:5432/shop',
    'postgres://db/shop?application_name=a@b:c',
    '/srv/postgres://odd:name@x',
    '/srv/password=x',
  ])('takes an input without a password: %s', async (to) => {
    const { runs } = await start({ kind: 'restore', sources: ['shop'], input: { to } }, localPrincipal('root'));
    expect(runs).toMatchObject([{ kind: 'restore', source: 'shop', state: 'queued' }]);
  });
});
