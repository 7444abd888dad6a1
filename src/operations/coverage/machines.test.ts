import { describe, expect, it } from 'vitest';
import type { RepositoryEntry } from '../../config/index.ts';
import { hostKinds } from '../../hosts/registry.ts';
import { emptyConfig } from '../configuration/configuration.ts';
import { machineOf, machineOfRepository } from './machines.ts';

const at = (url: string, more: Partial<RepositoryEntry> = {}): string =>
  machineOfRepository({ name: 'r', url, ...more } as RepositoryEntry);

describe('the machine of a repository', () => {
  it.each([
    ['/mnt/backups', 'local'],
    ['file:/mnt/backups', 'local'],
    ['sftp:root@nas.example:/backups', 'nas.example'],
    ['sftp:nas:backups', 'nas'],
    ['sftp://root@nas.example:2222/backups', 'nas.example'],
    ['rest:https://user@rest.example:8000/shop', 'rest.example'],
    ['rest:http://127.0.0.1:8000/shop', 'local'],
    ['s3:https://s3.eu-west-1.amazonaws.com/bucket/x', 's3.eu-west-1.amazonaws.com'],
    ['s3:http://localhost:9000/bucket', 'local'],
    ['webdav:https://[2001:db8::1]/dav', '[2001:db8::1]'],
    ['azure:container:/x', 'azure'],
    ['gs:bucket:/x', 'gs'],
  ])('%s is on %s', (url, machine) => expect(at(url)).toBe(machine));

  it('is elsewhere for a disk that is taken away now and then', () => {
    expect(at('/media/disk', { mayBeAwayMs: 1 })).toBe('the disk r');
  });
});

describe('the machine of a host', () => {
  const entry = (name: string, kind: string, settings: object) =>
    [name, { name, kind, settings, references: [] }] as const;
  const config = {
    ...emptyConfig('/x.yaml'),
    hosts: new Map([
      entry('far', 'ssh', { ssh: 'root@far.example' }),
      entry('behind', 'ssh', { ssh: 'root@far.example:2222' }),
      entry('db', 'docker', { docker: 'shop/db' }),
      entry('there', 'docker', { docker: 'shop/db', on: 'far' }),
    ]),
  };
  const of = (name: string) => machineOf(name, { config, hostKinds });

  it('is where its address leads, another port being another machine', () => {
    expect([of('local').machine, of('far').machine, of('behind').machine]).toEqual([
      'local',
      'far.example',
      'far.example:2222',
    ]);
  });

  it('is this machine for a container of its engine, and one of its own for a container elsewhere', () => {
    expect(of('db')).toEqual({ name: 'db', machine: 'local', container: 'shop/db' });
    expect(of('there')).toEqual({ name: 'there', machine: 'shop/db on far.example' });
  });
});
