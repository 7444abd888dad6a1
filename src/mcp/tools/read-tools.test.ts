/** That the status an assistant is told agrees with the one of the command and of the API. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { proofOf, snapshotOf } from '../../../test/support/catalogue-content.ts';
import { systemClock } from '../../base/clock.ts';
import { replaceRepository } from '../../catalogue/data/repository-content.ts';
import { saveSeen } from '../../catalogue/data/repository-states.ts';
import { type Catalogue, openCatalogue } from '../../catalogue/open.ts';
import { parseConfig } from '../../config/index.ts';
import { drivers } from '../../drivers/registry.ts';
import { hostKinds } from '../../hosts/registry.ts';
import type { Principal } from '../../model/principal.ts';
import { status } from '../../operations/status/status.ts';
import { storageKinds } from '../../storage/registry.ts';
import type { McpParts, McpUses } from '../parts.ts';
import { readTools } from './read-tools.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-mcp-status-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const nowMs = 1_800_000_000_000;
const hourMs = 3_600_000;
const anna: Principal = { kind: 'user', name: 'anna', roles: new Map([['*', 'viewer']]) };
const ofShop: Principal = { ...anna, roles: new Map([['shop', 'viewer']]) };
const held: Principal = { ...anna, kind: 'token', sources: new Set(['gone']) };
let catalogue: Catalogue;

/** `safe` has a snapshot that is proven, `bare` has none. */
beforeEach(async () => {
  catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => nowMs);
  const one = snapshotOf('safe', nowMs - hourMs);
  const proofs = [proofOf(one, 'safe', nowMs - hourMs / 2, true)];
  await replaceRepository(catalogue, 'nas', { snapshots: [one], proofs, pins: new Set() });
  await saveSeen(catalogue, { repository: 'nas', id: 'nas', atMs: nowMs });
});
afterEach(() => catalogue[Symbol.asyncDispose]());

function usesOf(sources: readonly string[], principal: Principal): McpUses {
  const text = [
    'workspaces: { shop: { title: Shop } }',
    'repositories: { nas: { url: /nas, password: { env: PW } } }',
    'policies: { often: { every: 24h, repositories: [nas] } }',
    sources.length === 0 ? '' : 'sources:',
    ...sources.map((name) => `  ${name}: { driver: files, paths: [/srv/${name}], policy: often }`),
  ].join('\n');
  const kinds = { drivers, storageKinds, hostKinds, channelKinds: [] };
  const config = parseConfig('/etc/holdfast.yaml', Buffer.from(text), kinds);
  const execution = { signal: new AbortController().signal, report: () => undefined };
  const clock = { ...systemClock, nowMs: () => nowMs };
  return { ...execution, config, catalogue, principal, clock, env: { HOLDFAST_STATE: folder } } as unknown as McpUses;
}

/** What the assistant is told, as `ok`. */
async function told(uses: McpUses, input: object = {}): Promise<boolean> {
  const tool = readTools.find(({ name }) => name === 'status')!;
  const parts = {} as McpParts; // it only looks
  const said = await tool.run({ only: 'concerns', limit: 50, ...input }, { uses, parts } as never);
  return (said as { ok: boolean }).ok;
}

test.each([
  ['nothing is declared', [], anna, false],
  ['everything is safe', ['safe'], anna, true],
  ['something is not safe', ['safe', 'bare'], anna, false],
  ['nothing of it may be seen by one of another workspace', ['safe'], ofShop, false],
  ['nothing of it may be seen by a token that is held to what is gone', ['safe'], held, false],
])('where %s it says the same as the command', async (_, sources, principal, expected) => {
  const uses = usesOf(sources, principal);
  expect((await status.run({}, uses)).ok).toBe(expected);
  expect([await told(uses), await told(uses, { only: 'all', limit: 1 })]).toEqual([expected, expected]);
});

test('of one source it says whether that one is safe', async () => {
  const uses = usesOf(['safe', 'bare'], anna);
  for (const only of ['all', 'concerns']) {
    expect([await told(uses, { source: 'safe', only }), await told(uses, { source: 'bare', only })]).toEqual([
      ...[true, false],
    ]);
  }
});
