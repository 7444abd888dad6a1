import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  type DeclaredRepository,
  type DeclaredSource,
  gapKinds,
  type SeenContainer,
  type SeenMachine,
} from './facts.ts';
import { type CoverageFacts, judgeCoverage } from './judge.ts';
import { kindOfImage } from './matches.ts';

const source = (given: Partial<DeclaredSource> = {}): DeclaredSource => ({
  name: 'app',
  driver: 'sqlite',
  host: 'local',
  machine: 'local',
  paths: [],
  leavesOut: () => false,
  isConsistent: false,
  isQuiet: false,
  policy: 'nightly',
  isScheduled: true,
  isDrilled: true,
  copies: [
    { repository: 'nas', machine: 'local', isKnown: true, newestMs: 5 },
    { repository: 'r2', machine: 'r2.example', isKnown: true, newestMs: 5 },
  ],
  leftOut: [],
  ...given,
});
const seen = (given: Partial<SeenMachine> = {}): SeenMachine => ({
  host: 'local',
  machine: 'local',
  names: ['box', '10.0.0.2'],
  isComplete: true,
  files: [],
  servers: [],
  containers: [],
  volumes: [],
  ...given,
});
const container = (given: Partial<SeenContainer> = {}): SeenContainer => ({
  id: 'abcdef0123456789',
  name: 'shop-db-1',
  service: 'shop/db',
  image: 'docker.io/library/postgres:17',
  isRunning: true,
  ports: [{ inside: 5432, machine: 15432 }],
  addresses: ['172.18.0.3'],
  mounts: [],
  ...given,
});
const repository: DeclaredRepository = {
  name: 'nas',
  isChecked: true,
  isPruned: true,
  hasRetention: true,
  isUsed: true,
};
const postgres = (host: string, port: number, given: Partial<DeclaredSource> = {}): DeclaredSource =>
  source({ name: 'pg', driver: 'postgres', server: { kind: 'PostgreSQL', addresses: [{ host, port }] }, ...given });

function gaps(facts: Partial<CoverageFacts>): string[] {
  const all = judgeCoverage({ sources: [], repositories: [], seen: [], silent: [], policy: 'nightly', ...facts });
  return all.map((one) => `${one.level} ${one.kind} ${one.subject}`);
}

describe('a database file', () => {
  const file = { path: '/srv/app/app.db', sizeBytes: 5000 };
  const at = (...sources: DeclaredSource[]): string[] => gaps({ sources, seen: [seen({ files: [file] })] });

  it('is uncovered until a source names it, and the report has the lines to add', () => {
    expect(at(source({ paths: ['/srv/other.db'], isConsistent: true }))).toEqual([
      'uncovered database-uncovered SQLite database /srv/app/app.db',
    ]);
    const [gap] = judgeCoverage({ sources: [source()], repositories: [], seen: [seen({ files: [file] })], silent: [] });
    expect(gap.yaml).toBe('sources:\n  app-2: { driver: sqlite, path: /srv/app/app.db }\n');
  });

  it('is covered by its own source, on its own machine only', () => {
    expect(at(source({ paths: [file.path], isConsistent: true }))).toEqual([]);
    expect(at(source({ paths: [file.path], isConsistent: true, host: 'far', machine: 'far.example' }))).toHaveLength(1);
  });

  it('is weakly covered as a plain file, unless its service stands still', () => {
    expect(at(source({ paths: ['/srv'] }))).toEqual(['weak database-as-file SQLite database /srv/app/app.db']);
    expect(at(source({ paths: ['/srv'], isQuiet: true }))).toEqual([]);
    expect(at(source({ paths: ['/srv'], isQuiet: true, leavesOut: (path) => path.endsWith('.db') }))).toEqual([
      'uncovered database-uncovered SQLite database /srv/app/app.db',
    ]);
    expect(at(source({ paths: ['/srv/ap'] }))).toEqual([
      'uncovered database-uncovered SQLite database /srv/app/app.db',
    ]);
  });

  it('is found again where a volume of a container puts it', () => {
    const inVolume = { path: '/var/lib/docker/volumes/data/_data/app.db', sizeBytes: 1 };
    const web = container({
      name: 'web',
      service: undefined,
      image: 'web:1',
      mounts: [{ volume: 'data', from: '/var/lib/docker/volumes/data/_data', inside: '/data' }],
    });
    const machine = seen({ files: [inVolume], containers: [web] });
    const inside = source({ host: 'web-box', container: 'web', paths: ['/data/app.db'], isConsistent: true });
    expect(gaps({ sources: [inside], seen: [machine] })).toEqual([]);
    expect(gaps({ sources: [{ ...inside, paths: ['/data/app.db-old'] }], seen: [machine] })).toHaveLength(1);
  });
});

describe('a server', () => {
  const machine = seen({ servers: [{ kind: 'PostgreSQL', ports: [5433] }] });

  it('is covered by a source that asks it, by any of the machine’s names and at its own port', () => {
    expect(gaps({ sources: [postgres('127.0.0.1', 5433)], seen: [machine] })).toEqual([]);
    expect(gaps({ sources: [postgres('box', 5433)], seen: [machine] })).toEqual([]);
    expect(gaps({ sources: [postgres('10.0.0.2', 5433, { machine: 'far.example' })], seen: [machine] })).toEqual([]);
    for (const other of [
      postgres('127.0.0.1', 5432),
      postgres('db.example', 5433),
      postgres('127.0.0.1', 5433, { machine: 'far' }),
    ]) {
      expect(gaps({ sources: [other], seen: [machine] })).toEqual([
        'uncovered server-uncovered PostgreSQL at port 5433',
      ]);
    }
  });

  it('in a container is covered from inside, at a published port, or at its own address', () => {
    const engine = seen({ containers: [container()] });
    for (const asked of [
      postgres('127.0.0.1', 15432),
      postgres('172.18.0.3', 5432),
      postgres('db', 5432),
      postgres('127.0.0.1', 5432, { container: 'shop/db', host: 'shop-db' }),
      postgres('127.0.0.1', 5432, { container: 'abcdef01', host: 'shop-db' }),
    ]) {
      expect(gaps({ sources: [asked], seen: [engine] })).toEqual([]);
    }
    expect(gaps({ sources: [postgres('127.0.0.1', 5432)], seen: [engine] })).toEqual([
      'uncovered server-uncovered container shop-db-1',
    ]);
  });

  it('is told by the name of its image', () => {
    const kinds = ['postgres', 'ghcr.io/x/pgvector:pg16', 'mariadb:11@sha256:ab', 'localhost:5000/valkey', 'nginx:1'];
    expect(kinds.map(kindOfImage)).toEqual(['PostgreSQL', 'PostgreSQL', 'MySQL or MariaDB', 'Redis', undefined]);
  });

  it('counts its volume as its own, and other volumes by themselves', () => {
    const mount = (volume: string) => ({ volume, from: `/v/${volume}`, inside: '/x' });
    const machineWith = seen({
      containers: [
        container({ mounts: [mount('pgdata')] }),
        container({ name: 'web', image: 'web', mounts: [mount('up')] }),
      ],
      volumes: [
        { name: 'pgdata', path: '/v/pgdata' },
        { name: 'up', path: '/v/up' },
        { name: 'a'.repeat(64), path: '/v/nobody' },
      ],
    });
    const sources = [postgres('127.0.0.1', 15432)];
    expect(gaps({ sources, seen: [machineWith] })).toEqual(['uncovered volume-uncovered volume up']);
    expect(gaps({ sources: [...sources, source({ paths: ['/v'] })], seen: [machineWith] })).toEqual([]);
  });
});

describe('what is declared', () => {
  it('is without gaps when it is scheduled, drilled, stored elsewhere, checked and pruned', () => {
    expect(gaps({ sources: [source()], repositories: [repository] })).toEqual([]);
  });

  it('has a gap for each thing that is missing, the worst first', () => {
    const bare = source({
      isScheduled: false,
      isDrilled: false,
      leftOut: ['audit'],
      copies: [{ repository: 'nas', machine: 'local', isKnown: true }],
    });
    const repositories = [{ ...repository, isChecked: false, isPruned: false }];
    expect(
      gaps({ sources: [bare], repositories, silent: [{ host: 'far', code: 'x', message: 'm', remedy: 'r' }] }),
    ).toEqual([
      'uncovered database-left-out database audit beside app',
      'uncovered never-backed-up source app',
      'unknown machine-silent host far',
      'weak not-scheduled source app',
      'weak not-drilled source app',
      'weak no-copy-elsewhere source app',
      'weak not-checked repository nas',
      'weak not-pruned repository nas',
    ]);
  });

  it('is not called never backed up while nobody can say', () => {
    const copies = [{ repository: 'nas', machine: 'nas.example', isKnown: false }];
    expect(gaps({ sources: [source({ copies })] })).toEqual(['weak single-copy source app']);
  });

  it('is stored elsewhere, or not, as seen from its own machine', () => {
    const far = source({ host: 'far', machine: 'far.example' });
    const only = (machine: string): string[] =>
      gaps({ sources: [{ ...far, copies: [{ repository: 'nas', machine, isKnown: true, newestMs: 1 }] }] });
    expect(only('local')).toEqual(['weak single-copy source app']);
    expect(only('far.example')).toEqual(['weak no-copy-elsewhere source app']);
  });
});

it('finds nothing that docs/coverage.md does not tell of', () => {
  const page = readFileSync(new URL('../../../docs/coverage.md', import.meta.url), 'utf8');
  expect(Object.keys(gapKinds).filter((kind) => !page.includes(`\`${kind}\``))).toEqual([]);
});
