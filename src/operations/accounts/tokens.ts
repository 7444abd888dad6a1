/** API tokens: one's own; and those of everybody for who rules over everything. */
import { z } from 'zod';
import { createToken as create, listTokens as list, revokeToken as revoke } from '../../auth/index.ts';
import { HoldfastError } from '../../base/errors.ts';
import { isAtLeast, type Principal, roleIn } from '../../model/principal.ts';
import { operation } from '../operation.ts';
import { type AccountUses, askerOf, bringDeclared, roleName, userName, workspaceName } from './account-view.ts';

const day = 86_400_000;

export const tokenView = z.object({
  id: z.string(),
  title: z.string(),
  user: z.string(),
  /** The first letters, to tell it by. */
  prefix: z.string(),
  role: roleName,
  workspace: z.string(),
  sources: z.array(z.string()).optional(),
  createdAtMs: z.number(),
  expiresAtMs: z.number().optional(),
  lastUsedAtMs: z.number().optional(),
  revokedAtMs: z.number().optional(),
});
const tokens = z.object({ tokens: z.array(tokenView) });
export type TokensOutput = z.infer<typeof tokens>;

export const listTokens = operation({
  name: 'token list',
  permission: 'viewer',
  input: z.object({ user: userName.optional() }),
  output: tokens,
  run: async ({ user }: { user?: string }, uses: AccountUses): Promise<TokensOutput> => {
    const found = await list(isOverAll(uses.principal) ? { user } : { user: ownName(uses.principal) }, uses);
    return {
      tokens: found.map(({ sources, ...rest }) => ({ ...rest, ...(sources ? { sources: [...sources] } : {}) })),
    };
  },
});

const newToken = z.object({
  title: z.string().min(1).max(80),
  /** Whose; absent: one's own. */
  user: userName.optional(),
  role: roleName.default('viewer'),
  workspace: workspaceName.default('*'),
  /** Names of sources it is held to; absent: all of the workspace. */
  sources: z.array(z.string().min(1).max(200)).min(1).max(1000).optional(),
  /** null: never. */
  expiresInDays: z.number().int().min(1).max(3650).nullable().default(90),
});
type NewToken = z.infer<typeof newToken>;
const made = z.object({ id: z.string(), token: z.string(), user: z.string(), expiresAtMs: z.number().optional() });
export type TokenOutput = z.infer<typeof made>;

/** `token` is shown this once. */
export const createToken = operation({
  name: 'token create',
  permission: 'viewer',
  input: newToken,
  output: made,
  run: async ({ expiresInDays, ...request }: NewToken, uses: AccountUses): Promise<TokenOutput> => {
    const user = request.user ?? ownName(uses.principal);
    await bringDeclared(user, uses);
    const expiry = expiresInDays === null ? {} : { expiresAtMs: uses.clock.nowMs() + expiresInDays * day };
    const { id, token } = await create({ ...request, user, ...expiry }, askerOf(uses), uses);
    return { id, token: token.reveal(), user, ...expiry };
  },
});

export const revokeToken = operation({
  name: 'token revoke',
  permission: 'viewer',
  input: z.object({ token: z.string().min(1).max(40).describe('its id') }),
  output: z.object({ id: z.string(), title: z.string() }),
  run: async ({ token }: { token: string }, uses: AccountUses) => ({
    id: token,
    ...(await revoke(token, askerOf(uses), uses)),
  }),
});

function isOverAll(principal: Principal): boolean {
  return principal.sources === undefined && isAtLeast(roleIn(principal), 'admin');
}

/** Of who is signed in, or whom a token acts for. `request.invalid` at the command line, where nobody is. */
function ownName({ kind, name }: Principal): string {
  if (kind === 'user') return name;
  if (kind === 'token') return name.slice(0, name.indexOf('/'));
  throw new HoldfastError({
    code: 'request.invalid',
    message: 'whose token is it to be?',
    remedy: 'Name an account: --user NAME (holdfast user list shows them).',
  });
}
