import { afterEach, beforeEach, expect, it } from 'vitest';
import {
  addAccount,
  createToken,
  type Maker,
  removeAccount,
  revokeToken,
  setDisabled,
  setRole,
} from '../auth/index.ts';
import type { Clock } from '../base/clock.ts';
import { systemClock } from '../base/clock.ts';
import { type Catalogue, openCatalogue } from '../catalogue/open.ts';
import { localPrincipal } from '../model/principal.ts';
import { emptyConfig } from '../operations/configuration/configuration.ts';
import { makeLink, requireMakerMay, takeLink } from './download-links.ts';
import type { ApiUses } from './parts.ts';

const day = 86_400_000;
const root = { principal: localPrincipal('root') };
const input = { snapshot: 'a'.repeat(64), path: '/etc/shadow' };
let catalogue: Catalogue;
let nowMs: number;
const clock: Clock = { ...systemClock, nowMs: () => nowMs };
const parts = () => ({ catalogue, clock });
let anna: string;
let token: string;

beforeEach(async () => {
  nowMs = Date.parse('2026-11-21T03:00:00Z');
  catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => nowMs);
  anna = (await addAccount({ name: 'anna', roles: new Map([['*', 'restorer']]) }, root, parts())).id;
  await addAccount({ name: 'annabel', roles: new Map([['*', 'restorer']]) }, root, parts());
  const wanted = { user: 'anna', title: 'ci', role: 'restorer', workspace: '*', expiresAtMs: nowMs + day / 2 } as const;
  token = (await createToken(wanted, root, parts())).id;
});
afterEach(() => catalogue[Symbol.asyncDispose]());

async function link(actor: string, by: Maker): Promise<string> {
  const made = await makeLink({ actor, by, input, forMs: day }, { catalogue, nowMs });
  return made.token.reveal();
}

/** What following it comes to. */
async function follow(secret: string): Promise<string> {
  try {
    const { by, input: wanted } = await takeLink(secret, { catalogue, nowMs });
    expect(wanted).toEqual(input);
    const uses = { config: emptyConfig('/etc/holdfast.yaml') } as ApiUses; // a role everywhere asks for nothing else
    await requireMakerMay(by, wanted, uses, parts());
    return 'given';
  } catch (error) {
    const { code, remedy } = error as { code: string; remedy: string };
    expect(remedy).not.toBe('');
    return code;
  }
}

it('gives the file once to whoever has it, as long as its maker may read that', async () => {
  const one = await link('anna', { userId: anna });
  expect([await follow(one), await follow(one)]).toEqual(['given', 'object.unknown']);
  expect(await follow(await link('anna/ci', { userId: anna, token }))).toBe('given');
});

it('is refused when its maker has lost the role', async () => {
  const links = [await link('anna', { userId: anna }), await link('anna/ci', { userId: anna, token })];
  await setRole({ name: 'anna', workspace: '*', role: 'viewer' }, root, parts());
  expect([await follow(links[0]), await follow(links[1])]).toEqual(['auth.forbidden', 'auth.forbidden']);
});

it('is refused when the token it was made with has expired, though its owner still may', async () => {
  const links = [await link('anna/ci', { userId: anna, token }), await link('anna', { userId: anna })];
  nowMs += day / 2;
  expect([await follow(links[0]), await follow(links[1])]).toEqual(['auth.forbidden', 'given']);
});

it('ends when its token is revoked; others of the same person stay', async () => {
  const links = [await link('anna/ci', { userId: anna, token }), await link('anna', { userId: anna })];
  await revokeToken(token, root, parts());
  expect(await catalogue.db.selectFrom('download').select('actor').execute()).toEqual([{ actor: 'anna' }]);
  expect([await follow(links[0]), await follow(links[1])]).toEqual(['object.unknown', 'given']);
});

it.each(['disabled', 'removed'])(
  'ends when its maker is %s, with those of their tokens and of nobody else',
  async (how) => {
    const links = [await link('anna', { userId: anna }), await link('anna/ci', { userId: anna, token })];
    await link('annabel', { userId: 'another' });
    if (how === 'disabled') await setDisabled({ name: 'anna', disabled: true }, root, parts());
    else await removeAccount('anna', root, parts());
    expect(await catalogue.db.selectFrom('download').select('actor').execute()).toEqual([{ actor: 'annabel' }]);
    expect([await follow(links[0]), await follow(links[1])]).toEqual(['object.unknown', 'object.unknown']);
  },
);

it('is refused, too, where it came into being while its maker was being shut out', async () => {
  await setDisabled({ name: 'anna', disabled: true }, root, parts());
  await revokeToken(token, root, parts());
  const links = [await link('anna', { userId: anna }), await link('anna/ci', { userId: anna, token })];
  expect([await follow(links[0]), await follow(links[1])]).toEqual(['auth.forbidden', 'auth.forbidden']);
});

it('is none where it does not say who made it: nobody knows whether they still may', async () => {
  const one = await link('anna', { userId: anna });
  await catalogue.db
    .updateTable('download')
    .set({ input: JSON.stringify(input) })
    .execute();
  expect(await follow(one)).toBe('object.unknown');
});
