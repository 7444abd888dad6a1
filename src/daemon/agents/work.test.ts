import { expect, test } from 'vitest';
import { parseConfig } from '../../config/index.ts';
import { drivers } from '../../drivers/registry.ts';
import { hostKinds, localHost } from '../../hosts/registry.ts';
import type { RunKind, RunRecord } from '../../model/run-record.ts';
import type { SourceAccess } from '../../operations/operation.ts';
import { storageKinds } from '../../storage/registry.ts';
import { agentOf, performedBy, workOf } from './work.ts';

const kinds = { drivers, storageKinds, hostKinds, channelKinds: [] };
const config = `
repositories:
  rest: { url: "rest:http://store.example/far/", password: { env: REPOSITORY } }
  other: { url: "rest:http://store.example/other/", password: { env: OTHER } }
hosts: { far: { agent: far-away }, box: { docker: db, on: far }, ssh: { ssh: root@10.0.0.1 } }
sources:
  files: { driver: files, host: far, paths: [/etc], repository: rest }
  shop: { driver: postgres, host: box, url: "postgres://a@localhost/shop", password: { env: SHOP }, repository: rest }
  staging: { driver: postgres, host: box, url: "postgres://a@localhost/staging", password: { env: STAGING }, repository: other }
  here: { driver: postgres, url: "postgres://a@localhost/here", password: { env: HERE }, repository: rest }
`;
const host = localHost();
const access: SourceAccess = {
  ...kinds,
  config: parseConfig('/etc/holdfast.yaml', Buffer.from(config), kinds),
  env: { REPOSITORY: 'of rest', OTHER: 'of other', SHOP: 'of shop', STAGING: 'of staging', HERE: 'of here' },
  localHost: () => host,
  openContainers: async () => undefined,
};
const { signal } = new AbortController();

function runOf(kind: RunKind, source: string, input: RunRecord['input'] = {}): RunRecord {
  const host = access.config.sources.get(source)?.host ?? 'local';
  const rest = { trigger: 'manual', state: 'running', attempt: 1, askedBy: 'anna', cancelRequested: false } as const;
  return { ...rest, id: 'r', kind, source, host, notBeforeMs: 0, queuedAtMs: 0, input };
}

test('what concerns repositories only is no work of an agent', () => {
  const performers = (['backup', 'drill', 'restore', 'forget', 'copy'] as const).map(
    (kind) => agentOf(runOf(kind, 'shop'), access)?.agent,
  );
  expect(performers).toEqual(['far-away', 'far-away', 'far-away', undefined, undefined]);
  expect(agentOf(runOf('backup', 'here'), access)).toBeUndefined();
});

test('an agent is sent the secrets of its source, and no others', async () => {
  const work = await workOf(runOf('backup', 'shop'), access, signal);
  expect(work.agent).toBe('far-away');
  expect(Object.values(work.secrets)).toEqual(['of rest', 'of shop']);
  expect(work.configuration).not.toMatch(/of rest|of shop|other|staging/);
});

test('a restore goes to a place on the agent’s machine, or to a source that is on it', async () => {
  const there = await workOf(runOf('restore', 'files', { to: 'far:/srv/back' }), access, signal);
  expect(there.input.input).toEqual({ to: '/srv/back' });
  const staging = await workOf(runOf('restore', 'shop', { to: 'staging' }), access, signal);
  expect(Object.values(staging.secrets)).toEqual(['of rest', 'of other', 'of shop', 'of staging']);
  for (const to of ['ssh:/srv/back', 'here']) {
    await expect(workOf(runOf('restore', 'shop', { to }), access, signal), to).rejects.toMatchObject({
      code: 'restore.target-invalid',
    });
  }
});

test('an agent starts nothing on the server but the forgetting that follows its own backup', () => {
  const next = [
    { kind: 'restore', source: 'here', host: 'local', input: { to: '/', inPlace: true }, slotKey: 'x' },
    { kind: 'forget', source: 'here', repository: 'rest', host: 'local', slotKey: 'y', askedBy: 'owner' },
    { kind: 'forget', source: 'shop', repository: 'other' },
  ];
  const performed = performedBy(runOf('backup', 'shop'), { ok: true, result: {}, next }, access);
  expect(performed.next).toMatchObject([
    { kind: 'forget', source: 'shop', repository: 'rest', slotKey: 'forget/r/rest', askedBy: 'schedule' },
  ]);
  expect(performedBy(runOf('drill', 'shop'), { ok: true, next }, access).next).toEqual([]);
  expect(() => performedBy(runOf('drill', 'shop'), 'well', access)).toThrow('no result of a run');
});

test('a drill that an agent leaves out, because a disk is away, is left out here too; a backup never is', () => {
  const leftOut = { code: 'repository.missing', message: 'usb is away', remedy: 'Nothing needs to be done.' };
  expect(performedBy(runOf('drill', 'shop'), { ok: false, leftOut }, access)).toEqual({ ok: false, leftOut, next: [] });
  expect(performedBy(runOf('backup', 'shop'), { ok: false, leftOut }, access)).toEqual({ ok: false, next: [] });
});

test('which repository an agent read for a drill counts if the source is stored there', () => {
  expect(performedBy(runOf('drill', 'shop'), { ok: true, repository: 'rest' }, access).repository).toBe('rest');
  for (const [kind, repository] of [['drill', 'other'] as const, ['backup', 'rest'] as const])
    expect(performedBy(runOf(kind, 'shop'), { ok: true, repository }, access).repository).toBeUndefined();
});
