import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Catalogue, openCatalogue } from '../../catalogue/open.ts';
import { openAuthority } from './authority.ts';
import {
  agentOfKey,
  createEnrolment,
  hasAgents,
  listAgents,
  redeemEnrolment,
  revokeAgent,
  standingKeys,
  tokenMs,
} from './enrolment.ts';

let catalogue: Catalogue;
let folder: string;
let nowMs = 1_800_000_000_000;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-agents-'));
  catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => nowMs);
});

afterEach(async () => {
  await catalogue[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

test('the catalogue holds nothing that lets somebody in', async () => {
  const { secret } = await createEnrolment(catalogue, { agent: 'far', replace: false });
  const rows = await catalogue.db.selectFrom('enrolment').selectAll().execute();
  expect(JSON.stringify(rows)).not.toContain(secret);
});

test('a token is good once, for an hour, and only here', async () => {
  const { secret } = await createEnrolment(catalogue, { agent: 'far', replace: false });
  const enter = (given: string, keyHash: string) => redeemEnrolment(catalogue, { secret: given, keyHash, facts: {} });
  const both = await Promise.allSettled([enter(secret, 'k1'), enter(secret, 'k2')]);
  expect(both.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  await expect(enter(secret, 'k3')).rejects.toThrow('used before');
  await expect(enter('of another server', 'k3')).rejects.toThrow('has not given out');
  const { secret: late } = await createEnrolment(catalogue, { agent: 'other', replace: false });
  nowMs += tokenMs;
  await expect(enter(late, 'k3')).rejects.toThrow('older than an hour');
  expect((await listAgents(catalogue)).map((one) => one.name)).toEqual(['far']);
});

test('who was revoked is refused, and joins again under the same name with a new token', async () => {
  const first = await createEnrolment(catalogue, { agent: 'far', replace: false });
  await redeemEnrolment(catalogue, { secret: first.secret, keyHash: 'k1', facts: {} });
  await expect(createEnrolment(catalogue, { agent: 'far', replace: false })).rejects.toThrow('already');
  expect(await standingKeys(catalogue, ['k1', 'k9'])).toEqual(new Set(['k1']));
  const waiting = await createEnrolment(catalogue, { agent: 'far', replace: true });
  await revokeAgent(catalogue, 'far');
  await expect(agentOfKey(catalogue, 'k1')).rejects.toThrow('revoked');
  expect(await standingKeys(catalogue, ['k1'])).toEqual(new Set());
  const late = redeemEnrolment(catalogue, { secret: waiting.secret, keyHash: 'k2', facts: {} });
  await expect(late, 'a token that was given out before the revocation').rejects.toThrow('has not given out');
  const again = await createEnrolment(catalogue, { agent: 'far', replace: false });
  await redeemEnrolment(catalogue, { secret: again.secret, keyHash: 'k3', facts: {} });
  expect(await agentOfKey(catalogue, 'k3')).toBe('far');
  await expect(agentOfKey(catalogue, 'k1')).rejects.toThrow('does not know');
  await expect(revokeAgent(catalogue, 'nobody')).rejects.toMatchObject({ code: 'agent.unknown' });
});

test('of several tokens for one name the first that is used ends the others: nobody takes the place of who joined', async () => {
  const [forgotten, used] = [
    await createEnrolment(catalogue, { agent: 'far', replace: false }),
    await createEnrolment(catalogue, { agent: 'far', replace: false }),
  ];
  const other = await createEnrolment(catalogue, { agent: 'other', replace: false });
  await redeemEnrolment(catalogue, { secret: used.secret, keyHash: 'k1', facts: {} });
  const stranger = redeemEnrolment(catalogue, { secret: forgotten.secret, keyHash: 'k2', facts: {} });
  await expect(stranger).rejects.toMatchObject({ code: 'agent.refused' });
  expect(await agentOfKey(catalogue, 'k1')).toBe('far');
  expect(await redeemEnrolment(catalogue, { secret: other.secret, keyHash: 'k3', facts: {} })).toBe('other');
});

test('the authority is made once, for its user only, and its loss is not covered up', async () => {
  const place = { directory: folder, nowMs, mayMake: async () => !(await hasAgents(catalogue)) };
  const [one, two] = await Promise.all([openAuthority(place), openAuthority(place)]);
  expect(two).toEqual(one);
  expect(await openAuthority(place)).toEqual(one);
  expect(statSync(join(folder, 'agent-authority')).mode & 0o777).toBe(0o700);
  expect(statSync(join(folder, 'agent-authority/key.pem')).mode & 0o777).toBe(0o600);
  expect(readFileSync(join(folder, 'agent-authority/key.pem'), 'utf8')).toBe(one.key);
  const { secret } = await createEnrolment(catalogue, { agent: 'far', replace: false });
  await redeemEnrolment(catalogue, { secret, keyHash: 'k1', facts: {} });
  chmodSync(join(folder, 'agent-authority'), 0o700);
  rmSync(join(folder, 'agent-authority'), { recursive: true });
  await expect(openAuthority(place)).rejects.toMatchObject({ code: 'secret.unavailable' });
});
