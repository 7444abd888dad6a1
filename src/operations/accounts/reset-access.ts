/** What lets somebody in again who lost it, and what keeps out who found it. */
import { z } from 'zod';
import { endAllSessions, resetPasskeys, resetTotp, setPassword } from '../../auth/index.ts';
import { Secret } from '../../base/secrets.ts';
import { operation } from '../operation.ts';
import { type AccountUses, askerOf, bringDeclared, password, userName } from './account-view.ts';

const named = z.object({ name: userName });
type Named = z.infer<typeof named>;

/** All sessions of the account end. */
export const resetPassword = operation({
  name: 'user reset-password',
  permission: 'admin',
  input: z.object({ name: userName, password }),
  output: z.object({ name: z.string() }),
  run: async (request: { name: string; password: string }, uses: AccountUses) => {
    const { name } = request;
    await bringDeclared(name, uses);
    await setPassword({ name, password: new Secret(request.password) }, askerOf(uses), uses);
    return { name };
  },
});

const totp = z.object({ name: z.string(), hadOne: z.boolean() });
export type ResetTotpOutput = z.infer<typeof totp>;

export const resetUserTotp = operation({
  name: 'user reset-totp',
  permission: 'admin',
  input: named,
  output: totp,
  run: async ({ name }: Named, uses: AccountUses): Promise<ResetTotpOutput> => ({
    name,
    ...(await resetTotp(name, askerOf(uses), uses)),
  }),
});

export const resetUserPasskeys = operation({
  name: 'user reset-passkeys',
  permission: 'admin',
  input: named,
  output: z.object({ name: z.string(), passkeys: z.number() }),
  run: async ({ name }: Named, uses: AccountUses) => ({
    name,
    passkeys: await resetPasskeys(name, askerOf(uses), uses),
  }),
});

export const signOutUser = operation({
  name: 'user sign-out',
  permission: 'admin',
  input: named,
  output: z.object({ name: z.string(), sessions: z.number() }),
  run: async ({ name }: Named, uses: AccountUses) => ({
    name,
    sessions: await endAllSessions(name, askerOf(uses), uses),
  }),
});
