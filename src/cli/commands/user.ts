import type { Command } from 'commander';
import { HoldfastError } from '../../base/errors.ts';
import type { UserView } from '../../operations/accounts/account-view.ts';
import type { SessionsOutput } from '../../operations/accounts/sessions.ts';
import type { PasswordLinkOutput, UsersOutput } from '../../operations/accounts/users.ts';
import type { Face } from '../face.ts';
import { newPassword } from '../new-password.ts';
import { collect } from '../options.ts';
import { facts, localTime, table } from '../table.ts';
import { withCatalogue } from '../with-catalogue.ts';

const users = () => import('../../operations/accounts/users.ts');
const resets = () => import('../../operations/accounts/reset-access.ts');
const passwordFile = ['--password-file <file>', 'the file that holds the password, instead of asking for it'] as const;

interface AddOptions {
  readonly role?: readonly string[];
  readonly email?: string;
  readonly passwordFile?: string;
  /** false with --no-password. */
  readonly password: boolean;
}

export function add(program: Command, face: Face): void {
  const user = program.command('user').description('who may sign in, and what they may do');
  addLists(user, face);
  addChanges(user, face);
  addResets(user, face);
}

function addLists(user: Command, face: Face): void {
  user
    .command('list')
    .description('all accounts')
    .action(async () => {
      const { listUsers } = await users();
      await withCatalogue(face, (uses) => face.perform(listUsers, {}, uses, { text: describeList }));
    });
  user
    .command('show')
    .description('one account: its roles and who gave them, its ways to sign in')
    .argument('<name>')
    .action(async (name: string) => {
      const { showUser } = await users();
      await withCatalogue(face, (uses) => face.perform(showUser, { name }, uses, { text: describe }));
    });
  user
    .command('sessions')
    .description('where somebody is signed in')
    .argument('<name>')
    .action(async (name: string) => {
      const { listUserSessions } = await import('../../operations/accounts/sessions.ts');
      await withCatalogue(face, (uses) => face.perform(listUserSessions, { name }, uses, { text: describeSessions }));
    });
}

function addChanges(user: Command, face: Face): void {
  user
    .command('add')
    .description('add an account; its password is asked for, or read from stdin')
    .argument('<name>')
    .option('--role <role>', 'owner, admin, operator, restorer or viewer; or WORKSPACE:ROLE; may be repeated', collect)
    .option('--email <address>', 'their e-mail address')
    .option(...passwordFile)
    .option('--no-password', 'they sign in by a provider, or set one by a link')
    .action(async (name: string, options: AddOptions) => {
      const { addUser } = await users();
      const roles = rolesOf(options.role ?? []);
      const password = options.password ? { password: await newPassword(name, options) } : {};
      const input = { name, roles, ...password, ...(options.email === undefined ? {} : { email: options.email }) };
      await withCatalogue(face, (uses) => face.perform(addUser, input, uses, { text: describe }));
    });
  user
    .command('set-role')
    .description('give a role, or take it away')
    .argument('<name>')
    .argument('<role>', 'owner, admin, operator, restorer, viewer or none')
    .option('--workspace <name>', 'only there', '*')
    .action(async (name: string, role: string, options: { workspace: string }) => {
      const { setUserRole } = await users();
      const input = { name, role, workspace: options.workspace };
      await withCatalogue(face, (uses) => face.perform(setUserRole, input, uses, { text: describe }));
    });
  for (const verb of ['disable', 'enable'] as const) {
    user
      .command(verb)
      .description(verb === 'disable' ? 'keep somebody out; their sessions end' : 'let somebody in again')
      .argument('<name>')
      .action(async (name: string) => {
        const { disableUser, enableUser } = await users();
        const chosen = verb === 'disable' ? disableUser : enableUser;
        await withCatalogue(face, (uses) => face.perform(chosen, { name }, uses, { text: describe }));
      });
  }
  user
    .command('remove')
    .description('remove an account with its tokens and passkeys')
    .argument('<name>')
    .action(async (name: string) => {
      const { removeUser } = await users();
      await withCatalogue(face, (uses) =>
        face.perform(removeUser, { name }, uses, { text: (one) => `✓ removed ${one.name}` }),
      );
    });
}

function addResets(user: Command, face: Face): void {
  user
    .command('reset-password')
    .description('a new password, asked for or read from stdin; all sessions end')
    .argument('<name>')
    .option(...passwordFile)
    .action(async (name: string, options: { passwordFile?: string }) => {
      const { resetPassword } = await resets();
      const password = await newPassword(name, options);
      await withCatalogue(face, (uses) =>
        face.perform(resetPassword, { name, password }, uses, {
          text: (one) => `✓ ${one.name} has a new password and is signed in nowhere`,
        }),
      );
    });
  user
    .command('reset-totp')
    .description('take away the second factor of who lost it; all sessions end')
    .argument('<name>')
    .action(async (name: string) => {
      const { resetUserTotp } = await resets();
      await withCatalogue(face, (uses) =>
        face.perform(resetUserTotp, { name }, uses, {
          text: (one) => (one.hadOne ? `✓ ${one.name} has no second factor any more` : `${one.name} had none`),
        }),
      );
    });
  user
    .command('reset-passkeys')
    .description('remove all passkeys of who lost a device')
    .argument('<name>')
    .action(async (name: string) => {
      const { resetUserPasskeys } = await resets();
      await withCatalogue(face, (uses) =>
        face.perform(resetUserPasskeys, { name }, uses, { text: (one) => `✓ removed ${one.passkeys} of ${one.name}` }),
      );
    });
  user
    .command('sign-out')
    .description('end all sessions of somebody')
    .argument('<name>')
    .action(async (name: string) => {
      const { signOutUser } = await resets();
      await withCatalogue(face, (uses) =>
        face.perform(signOutUser, { name }, uses, { text: (one) => `✓ ended ${one.sessions} of ${one.name}` }),
      );
    });
  user
    .command('password-link')
    .description('a code with which somebody sets their password over the API: works once, within three days')
    .argument('<name>')
    .action(async (name: string) => {
      const { passwordLink } = await users();
      await withCatalogue(face, (uses) => face.perform(passwordLink, { name }, uses, { text: describeLink }));
    });
}

function rolesOf(given: readonly string[]): Record<string, string> {
  const roles: Record<string, string> = {};
  for (const one of given) {
    const at = one.lastIndexOf(':');
    const workspace = at < 0 ? '*' : one.slice(0, at);
    if (roles[workspace] !== undefined) {
      throw new HoldfastError({
        code: 'usage.invalid',
        message: `two roles ${workspace === '*' ? 'everywhere' : `in ${workspace}`}`,
        remedy: 'Give one of them: each holds all that lesser ones allow.',
      });
    }
    roles[workspace] = one.slice(at + 1);
  }
  return roles;
}

function describeList({ users: found }: UsersOutput): string {
  if (found.length === 0) return 'nobody yet: holdfast user add NAME --role owner';
  return table(found, [
    { title: 'NAME', value: (one) => one.name },
    { title: 'ROLES', value: (one) => rolesText(one.roles) },
    { title: 'SIGNS IN WITH', value: waysText },
    { title: 'MADE BY', value: (one) => origins[one.origin] },
    { title: 'LAST SEEN', value: (one) => (one.lastSeenAtMs === undefined ? 'never' : localTime(one.lastSeenAtMs)) },
    { title: '', value: (one) => (one.disabled ? 'disabled' : '') },
  ]);
}

function describe(one: UserView): string {
  return facts([
    ['name', one.name],
    ['e-mail', one.email],
    ['roles', rolesText(one.roles)],
    [
      'given',
      one.held
        .map(({ role, workspace, origin }) => `${rolesText({ [workspace]: role })} by ${origins[origin]}`)
        .join(', '),
    ],
    ['signs in with', waysText(one)],
    ['made', `${localTime(one.createdAtMs)} by ${origins[one.origin]}`],
    ['last seen', one.lastSeenAtMs === undefined ? 'never' : localTime(one.lastSeenAtMs)],
    ['disabled', one.disabled ? 'yes' : undefined],
  ]);
}

/** The code in a line of its own; neither it nor a password belongs into arguments, so `curl` reads them from stdin. */
function describeLink({ link, url, path }: PasswordLinkOutput): string {
  return [
    link,
    `They set their password with it, once, within three days: curl --json @- ${url ?? `https://SERVER${path}`}`,
    'and on its stdin: {"link": "the code above", "password": "their own"}',
  ].join('\n');
}

/** How a person names who made an account, or gave a role. */
const origins: Readonly<Record<UserView['origin'], string>> = { file: 'the file', ui: 'hand', oidc: 'the provider' };

function rolesText(roles: Readonly<Record<string, string>>): string {
  const texts = Object.entries(roles).map(([workspace, role]) => (workspace === '*' ? role : `${workspace}:${role}`));
  return texts.length === 0 ? 'none' : texts.join(' ');
}

function waysText({ hasPassword, hasTotp, passkeys, identities }: UserView): string {
  const ways = [
    hasPassword ? `password${hasTotp ? ' and code' : ''}` : '',
    passkeys > 0 ? 'passkey' : '',
    identities > 0 ? 'provider' : '',
  ].filter((one) => one !== '');
  return ways.length === 0 ? 'nothing yet' : ways.join(', ');
}

function describeSessions({ sessions }: SessionsOutput): string {
  if (sessions.length === 0) return 'signed in nowhere';
  return table(sessions, [
    { title: 'SINCE', value: (one) => localTime(one.createdAtMs) },
    { title: 'LAST SEEN', value: (one) => localTime(one.seenAtMs) },
    { title: 'BY', value: (one) => one.method },
    { title: 'FROM', value: (one) => one.address },
    { title: 'WITH', value: (one) => one.agent },
  ]);
}
