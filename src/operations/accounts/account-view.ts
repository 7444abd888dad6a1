/** Accounts as operations show them, and who asks for something about them. */
import { z } from 'zod';
import { type AccountView, type Asker, addDeclared, listAccounts, membershipOrigins } from '../../auth/index.ts';
import { HoldfastError } from '../../base/errors.ts';
import { roles } from '../../model/principal.ts';
import type { Config } from '../configuration/configuration.ts';
import type { CatalogueAccess, Execution } from '../operation.ts';

export type AccountUses = CatalogueAccess & Pick<Execution, 'clock'> & { readonly config?: Config };

export const userName = z.string().min(1).max(64).describe('the name of the account');
export const workspaceName = z.string().min(1).max(64).describe('a workspace; * is all of them');
export const roleName = z.enum(roles);
export const password = z.string().min(1).max(2000);

export const userView = z.object({
  name: z.string(),
  email: z.string().optional(),
  /** What counts, by workspace; `*` is everywhere. */
  roles: z.record(z.string(), roleName),
  /** Who gave what: the configuration, a person, or the groups of a provider. */
  held: z.array(z.object({ workspace: z.string(), role: roleName, origin: z.enum(membershipOrigins) })),
  origin: z.enum(membershipOrigins),
  disabled: z.boolean(),
  hasPassword: z.boolean(),
  hasTotp: z.boolean(),
  passkeys: z.number(),
  identities: z.number(),
  createdAtMs: z.number(),
  lastSeenAtMs: z.number().optional(),
});
export type UserView = z.infer<typeof userView>;

export function viewOf({ id: _, held, roles: counting, ...rest }: AccountView): UserView {
  return { ...rest, roles: { ...counting }, held: [...held] };
}

export async function userNamed(name: string, uses: AccountUses): Promise<UserView> {
  const [found] = await listAccounts(uses, name.trim().toLowerCase());
  if (found !== undefined) return viewOf(found);
  throw new HoldfastError({
    code: 'user.unknown',
    message: `there is no user «${name}»`,
    remedy: 'See: holdfast user list',
  });
}

/** Who is declared in the configuration is there also before a server ever started with it. */
export async function bringDeclared(name: string, uses: AccountUses): Promise<void> {
  const wanted = name.trim().toLowerCase();
  const declared = [...(uses.config?.users.values() ?? [])].find((one) => one.name.toLowerCase() === wanted);
  if (declared !== undefined) await addDeclared(declared, uses);
}

export function askerOf({ principal, address }: AccountUses): Asker {
  return { principal, ...(address === undefined ? {} : { address }) };
}
