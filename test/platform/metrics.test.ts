/** What Prometheus itself says of the metrics, the alert rules and the dashboard. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { emptyConfig } from '../../src/operations/configuration/configuration.ts';
import { metricNames } from '../../src/operations/metrics/names.ts';
import { render } from '../../src/operations/metrics/render.ts';
import { Trial } from '../e2e/trial.ts';
import { promtool } from '../servers/promtool.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const rulesFolder = join(root, 'deploy/prometheus');
const exported = new Set<string>(Object.keys(metricNames));

interface Sample {
  readonly name: string;
  readonly labels: readonly string[];
  readonly value: number;
}

function samples(text: string): Sample[] {
  return text.split('\n').flatMap((line) => {
    const [, name, given = '', value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined) return [];
    return [{ name, labels: [...given.matchAll(/(\w+)="/g)].map(([, label]) => label), value: Number(value) }];
  });
}

function namesIn(expression: string): string[] {
  return [...expression.matchAll(/\bholdfast_\w+/g)].map(([name]) => name);
}

async function checked(text: string): Promise<void> {
  const verdict = await promtool(['check', 'metrics'], { input: text });
  expect(verdict).toEqual({ status: 0, output: '' });
  for (const { name, labels } of samples(text)) {
    expect([name, exported.has(name), labels]).toEqual([
      name,
      true,
      metricNames[name as 'holdfast_source_safe'].labels,
    ]);
  }
}

describe('without a server', () => {
  let trial: Trial;
  beforeAll(async () => {
    trial = new Trial();
    trial.sqlite('app.db', 'CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)');
    trial.write('password', 'secret-of-the-metrics');
    trial.write(
      'holdfast.yaml',
      [
        'repositories: { nas: { url: ./nas, password: { file: ./password } }, gone: { url: ./gone, password: { file: ./password } } }',
        'policies: { hourly: { schedule: "0 * * * *", repositories: [{ name: nas }], drill: { schedule: "0 6 * * 0" } } }',
        'sources:',
        '  app: { driver: sqlite, path: ./app.db, policy: hourly }',
        '  "we.ird-1": { driver: files, paths: [/nowhere], repository: gone }',
      ].join('\n'),
    );
    await trial.ok('repo', 'init', 'nas');
    await trial.ok('backup', 'app');
    await trial.ok('drill', 'app');
  });
  afterAll(() => trial.dispose());

  test('metrics come from the repositories, and promtool has no complaint', async () => {
    const text = await trial.ok('metrics');
    await checked(text);
    expect(text).not.toContain('secret-of-the-metrics');
    expect(text).toMatch(/^holdfast_source_safe\{source="app",repository="nas"\} 1$/m);
    expect(text).toMatch(/^holdfast_source_recovery_point_limit_seconds\{source="app",repository="nas"\} 7200$/m);
    expect(text).toMatch(/^holdfast_source_last_drill_success\{source="app",repository="nas"\} 1$/m);
    expect(text).toMatch(/^holdfast_repository_reachable\{repository="gone"\} 0$/m);
    expect(text).not.toMatch(/proof_timestamp_seconds\{source="we/);
    const [newest] = samples(text).filter(({ name }) => name === 'holdfast_source_last_success_timestamp_seconds');
    expect(Math.abs(Date.now() / 1000 - newest.value)).toBeLessThan(600);
  });

  test('a textfile is there whole, readable by others, and nothing is left beside it', async () => {
    await trial.ok('metrics', '--textfile', 'textfile.prom');
    await trial.ok('metrics', '--textfile', 'textfile.prom');
    await checked(readFileSync(trial.path('textfile.prom'), 'utf8'));
    expect(statSync(trial.path('textfile.prom')).mode & 0o777).toBe(0o644);
    expect(readdirSync(trial.folder).filter((name) => name.startsWith('textfile'))).toEqual(['textfile.prom']);
    const refused = await trial.run(['metrics', '--textfile', 'no/such/folder.prom']);
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining('no/such/folder.prom')]);
  });
});

const nowMs = 1_790_000_000_000;
const backup = {
  id: 'r',
  kind: 'backup' as const,
  source: 'shop',
  state: 'succeeded' as const,
  startedAtMs: nowMs - 9000,
  endedAtMs: nowMs - 2000,
  bytes: 100,
  addedBytes: 7,
};
const full = {
  nowMs,
  config: emptyConfig('/x.yaml'),
  state: {
    ok: false,
    sources: [
      {
        source: 'shop',
        driver: 'postgres',
        repository: 'r2',
        ok: false,
        snapshots: 3,
        copies: { from: 'nas', missing: 2, behind: 2 },
        newest: { id: 'a', time: '', ageMs: 1000 },
        proof: { verdict: 'failed', ageMs: 5000, restoreMs: 10, snapshot: 'a' },
        proven: '2026-09-01T00:00:00.000Z',
        expected: { snapshotMs: 10_000, proofMs: 20_000 },
        concerns: [],
      },
      {
        source: 'shop',
        driver: 'postgres',
        repository: 'nas',
        ok: true,
        snapshots: 3,
        newest: { id: 'a', time: '', ageMs: 1000 },
        proof: { verdict: 'passed', ageMs: 5000, restoreMs: 10, snapshot: 'a' },
        proven: '2026-09-01T00:00:00.000Z',
        expected: { snapshotMs: 10_000, proofMs: 20_000 },
        concerns: [],
      },
    ],
    repositories: [
      {
        name: 'nas',
        ok: true,
        state: 'ready' as const,
        missing: 0,
        lastCheck: { time: '2026-09-01T00:00:00.000Z', ok: true, errors: 0, data: 'all' as const },
      },
      { name: 'disk', ok: true, state: 'away' as const },
    ],
    elsewhere: [],
  },
  server: {
    runs: [{ kind: 'backup' as const, state: 'missed' as const, count: 2 }],
    queue: { queued: 4, running: 1, oldestMs: nowMs - 60_000 },
    last: {
      ofKind: new Map([['shop', new Map([['backup' as const, backup]])]]),
      drills: new Map([
        [
          'shop',
          new Map([
            ['nas', { ...backup, kind: 'drill' as const, repository: 'nas', state: 'failed' as const }],
            ['r2', { ...backup, kind: 'drill' as const, repository: 'r2' }],
            ['former', { ...backup, kind: 'drill' as const, repository: 'former', state: 'failed' as const }],
          ]),
        ],
      ]),
    },
    workers: 1,
    agents: { enrolled: 2, connected: 1 },
    deliveries: [{ channel: 'phone', state: 'failed', count: 1 }],
    sizes: [{ repository: 'nas', atMs: nowMs, storedBytes: 50, restoredBytes: 400, snapshots: 3 }],
  },
};

describe('with a server', () => {
  test('every metric that is documented is exported, with its labels, and promtool has no complaint', async () => {
    const entry = { name: 'shop', driver: 'postgres', host: 'local', policy: 'nightly' };
    const config = {
      ...full.config,
      sources: new Map([['shop', { ...entry, placements: [{ repository: 'nas' }, { repository: 'r2' }] } as never]]),
    };
    const text = await render({ ...full, config });
    await checked(text);
    expect(new Set(samples(text).map(({ name }) => name))).toEqual(exported);
    expect(text).toMatch(/^holdfast_repository_dedup_ratio\{repository="nas"\} 8$/m);
    expect(text).toMatch(/^holdfast_recent_runs\{kind="backup",state="missed"\} 2$/m);
    expect(text).toMatch(/^holdfast_recent_runs\{kind="check",state="failed"\} 0$/m);
    expect(text).toMatch(/^holdfast_source_last_run_duration_seconds\{source="shop",kind="backup",repository=""\} 7$/m);
    const drills = text.matchAll(
      /^holdfast_source_last_run_success\{source="shop",kind="drill",repository="(\w*)"\} (\d)$/gm,
    );
    expect([...drills].map(([, repository, value]) => [repository, value])).toEqual([
      ['nas', '0'],
      ['r2', '1'],
    ]);
    expect(text).not.toMatch(/repository_reachable\{repository="disk"\}/);
  });

  test('docs/metrics.md says the same of every metric', () => {
    const rows = readFileSync(join(root, 'docs/metrics.md'), 'utf8').matchAll(
      /^\| `(\w+)` \| ([^|]*) \| ([^|]*) \|$/gm,
    );
    const told = [...rows].map(([, name, labels, help]) => ({ name, labels: labels.trim(), help: help.trim() }));
    const meant = Object.entries(metricNames).map(([name, { help, labels }]) => ({
      name,
      labels: labels.join(', '),
      help,
    }));
    expect(told).toEqual(meant);
  });
});

describe('what is shipped', () => {
  test('the alert rules are rules, use only what is exported, and fire when they should', async () => {
    const file = join(rulesFolder, 'holdfast.rules.yml');
    expect(await promtool(['check', 'rules', file])).toMatchObject({ status: 0 });
    const { groups } = parse(readFileSync(file, 'utf8')) as { groups: { rules: { alert: string; expr: string }[] }[] };
    const rules = groups.flatMap((group) => group.rules);
    expect(rules.flatMap(({ expr }) => namesIn(expr)).filter((name) => !exported.has(name))).toEqual([]);
    const tests = readFileSync(join(rulesFolder, 'holdfast.rules.test.yml'), 'utf8');
    const fired = parse(tests) as { tests: { alert_rule_test: { alertname: string; exp_alerts: unknown[] }[] }[] };
    const tried = fired.tests.flatMap((one) => one.alert_rule_test).filter((one) => one.exp_alerts.length > 0);
    expect(new Set(tried.map((one) => one.alertname))).toEqual(new Set(rules.map((one) => one.alert)));
    const verdict = await promtool(['test', 'rules', 'holdfast.rules.test.yml'], { folder: rulesFolder });
    expect([verdict.status, verdict.output]).toEqual([0, expect.stringContaining('SUCCESS')]);
  });

  test('each expression of the dashboard is one, and uses only what is exported', async () => {
    const dashboard = readFileSync(join(root, 'deploy/grafana/holdfast.json'), 'utf8');
    const { panels, templating } = JSON.parse(dashboard) as {
      panels: { targets: { expr: string }[] }[];
      templating: { list: { definition?: string }[] };
    };
    const expressions = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
    expect(expressions.length).toBeGreaterThan(15);
    const asked = [...expressions, ...templating.list.map(({ definition = '' }) => definition)];
    expect(asked.flatMap(namesIn).filter((name) => !exported.has(name))).toEqual([]);
    const rules = expressions.map((expr, i) => ({ record: `dashboard:${i}`, expr: expr.replace(/\$\w+/g, '.*') }));
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-dashboard-'));
    try {
      writeFileSync(join(folder, 'rules.yml'), JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
      expect(await promtool(['check', 'rules', 'rules.yml'], { folder })).toMatchObject({ status: 0 });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
