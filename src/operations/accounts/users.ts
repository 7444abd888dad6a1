/** People: who there is, who comes, what they may do, who goes. */
import { z } from 'zod';
import { addAccount, issuePasswordLink, listAccounts, removeAccount, setDisabled, setRole } from '../../auth/index.ts';
import { Secret } from '../../base/secrets.ts';
import type { Role } from '../../model/principal.ts';
import { type Operation, operation } from '../operation.ts';
import {
  type AccountUses,
  askerOf,
  bringDeclared,
  password,
  roleName,
  userName,
  userNamed,
  userView,
  viewOf,
  workspaceName,
} from './account-view.ts';

const users = z.object({ users: z.array(userView) });
export type UsersOutput = z.infer<typeof users>;

export const listUsers = operation({
  name: 'user list',
  permission: 'admin',
  input: z.object({}),
  output: users,
  run: async (_: object, uses: AccountUses): Promise<UsersOutput> => ({
    users: (await listAccounts(uses)).map(viewOf),
  }),
});

export const showUser = operation({
  name: 'user show',
  permission: 'admin',
  input: z.object({ name: userName }),
  output: userView,
  run: async ({ name }: { name: string }, uses: AccountUses) => await userNamed(name, uses),
});

const newUser = z.object({
  name: userName,
  email: z.email().optional(),
  /** By workspace; `*` is everywhere. */
  roles: z.record(workspaceName, roleName).default({}),
  password: password.optional(),
});
type NewUser = z.infer<typeof newUser>;

export const addUser = operation({
  name: 'user add',
  permission: 'admin',
  input: newUser,
  output: userView,
  run: async (request: NewUser, uses: AccountUses) => {
    const { name, email, password: text } = request;
    const roles = new Map<string, Role>(Object.entries(request.roles));
    const account = { name, email, roles, ...(text === undefined ? {} : { password: new Secret(text) }) };
    await addAccount(account, askerOf(uses), uses);
    return await userNamed(name, uses);
  },
});

const roleChange = z.object({
  name: userName,
  workspace: workspaceName.default('*'),
  role: z.union([roleName, z.literal('none')]),
});
type RoleChange = z.infer<typeof roleChange>;

export const setUserRole = operation({
  name: 'user set-role',
  permission: 'admin',
  input: roleChange,
  output: userView,
  run: async ({ name, workspace, role }: RoleChange, uses: AccountUses) => {
    await setRole({ name, workspace, ...(role === 'none' ? {} : { role }) }, askerOf(uses), uses);
    return await userNamed(name, uses);
  },
});

export const disableUser = disabling('user disable', true);
export const enableUser = disabling('user enable', false);

function disabling(
  name: string,
  disabled: boolean,
): Operation<{ name: string }, z.infer<typeof userView>, AccountUses> {
  return operation({
    name,
    permission: 'admin',
    input: z.object({ name: userName }),
    output: userView,
    run: async (request: { name: string }, uses: AccountUses) => {
      await setDisabled({ name: request.name, disabled }, askerOf(uses), uses);
      return await userNamed(request.name, uses);
    },
  });
}

const removed = z.object({ name: z.string() });

export const removeUser = operation({
  name: 'user remove',
  permission: 'admin',
  input: z.object({ name: userName }),
  output: removed,
  run: async ({ name }: { name: string }, uses: AccountUses) => {
    await removeAccount(name, askerOf(uses), uses);
    return { name };
  },
});

const link = z.object({ name: z.string(), link: z.string(), path: z.string(), url: z.string().optional() });
export type PasswordLinkOutput = z.infer<typeof link>;

const linkPath = '/api/sign-in/password-link';

/** `link` is shown this once; `path` is where it is sent with the new password, `url` the same with `server: url:`. */
export const passwordLink = operation({
  name: 'user password-link',
  permission: 'admin',
  input: z.object({ name: userName }),
  output: link,
  run: async ({ name }: { name: string }, uses: AccountUses): Promise<PasswordLinkOutput> => {
    await bringDeclared(name, uses);
    const secret = await issuePasswordLink(name, askerOf(uses), uses);
    const url = uses.config?.server.url?.replace(/\/$/, '');
    return { name, link: secret.reveal(), path: linkPath, ...(url === undefined ? {} : { url: `${url}${linkPath}` }) };
  },
});
