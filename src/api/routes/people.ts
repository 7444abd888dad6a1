/** Who may do what: people and tokens, and what all of them did. */

import { requireRecentSignIn } from '../../auth/index.ts';
import { HoldfastError } from '../../base/errors.ts';
import { listAudit } from '../../operations/accounts/audit.ts';
import {
  resetPassword,
  resetUserPasskeys,
  resetUserTotp,
  signOutUser,
} from '../../operations/accounts/reset-access.ts';
import { listUserSessions } from '../../operations/accounts/sessions.ts';
import { createToken, listTokens, revokeToken } from '../../operations/accounts/tokens.ts';
import {
  addUser,
  disableUser,
  enableUser,
  listUsers,
  passwordLink,
  removeUser,
  setUserRole,
  showUser,
} from '../../operations/accounts/users.ts';
import { operationRoute } from '../operation-route.ts';
import type { Call, Route, Subject } from '../route.ts';

const everything = (): Subject => ({ everything: true });
const access = { tag: 'access', where: everything, auditsItself: true } as const;
/** The operation sees to it that one's own are all one sees. */
const own = { tag: 'access', where: (): Subject => ({}), check: requireNoSources, auditsItself: true } as const;

export const peopleRoutes: readonly Route[] = [
  operationRoute(listUsers, {
    ...access,
    ...{ method: 'get', path: '/api/users', id: 'listUsers', summary: 'List people, with what they may do.' },
  }),
  operationRoute(addUser, {
    ...access,
    ...{ method: 'post', path: '/api/users', id: 'addUser', secret: true },
    summary: 'Add somebody.',
  }),
  operationRoute(showUser, {
    ...access,
    ...{ method: 'get', path: '/api/users/{name}', id: 'showUser', summary: 'Show one of them.' },
  }),
  operationRoute(removeUser, {
    ...access,
    ...{ method: 'delete', path: '/api/users/{name}', id: 'removeUser' },
    summary: 'Remove somebody, with their sessions and tokens.',
  }),
  operationRoute(setUserRole, {
    ...access,
    ...{ method: 'put', path: '/api/users/{name}/role', id: 'setUserRole' },
    summary: 'Give somebody a role, everywhere or in a workspace, or take it away.',
  }),
  operationRoute(disableUser, {
    ...access,
    ...{ method: 'post', path: '/api/users/{name}/disable', id: 'disableUser', summary: 'Let somebody in no more.' },
  }),
  operationRoute(enableUser, {
    ...access,
    ...{ method: 'post', path: '/api/users/{name}/enable', id: 'enableUser', summary: 'Let somebody in again.' },
  }),
  operationRoute(passwordLink, {
    ...access,
    ...{ method: 'post', path: '/api/users/{name}/password-link', id: 'makePasswordLink', secret: true },
    summary: 'Make a link with which somebody sets a password; it is told only now.',
  }),
  operationRoute(resetPassword, {
    ...access,
    ...{ method: 'put', path: '/api/users/{name}/password', id: 'resetPassword', secret: true },
    summary: 'Set somebody’s password.',
  }),
  operationRoute(resetUserTotp, {
    ...access,
    ...{ method: 'delete', path: '/api/users/{name}/totp', id: 'resetUserTotp' },
    summary: 'Take away the second factor of who lost it.',
  }),
  operationRoute(resetUserPasskeys, {
    ...access,
    ...{ method: 'delete', path: '/api/users/{name}/passkeys', id: 'resetUserPasskeys' },
    summary: 'Take away the passkeys of who lost them.',
  }),
  operationRoute(listUserSessions, {
    ...access,
    ...{ method: 'get', path: '/api/users/{name}/sessions', id: 'listUserSessions' },
    summary: 'Where somebody is signed in.',
  }),
  operationRoute(signOutUser, {
    ...access,
    ...{
      method: 'delete',
      path: '/api/users/{name}/sessions',
      id: 'signOutUser',
      summary: 'End all of somebody’s sessions.',
    },
  }),
  operationRoute(listTokens, {
    ...own,
    ...{ method: 'get', path: '/api/tokens', id: 'listTokens', summary: 'List tokens: one’s own, an admin all.' },
  }),
  operationRoute(createToken, {
    ...own,
    ...{ method: 'post', path: '/api/tokens', id: 'createToken', secret: true },
    summary:
      'Make a token; it is told only now. That takes a sign-in of the last quarter of an hour: a token makes no further tokens.',
    // It outlives the session, and every way to end that.
    check: (input, call) => {
      requireNoSources(input, call);
      if (call.caller.session !== undefined) requireRecentSignIn(call.caller.session, call.parts);
    },
  }),
  operationRoute(revokeToken, {
    ...own,
    ...{ method: 'delete', path: '/api/tokens/{token}', id: 'revokeToken', summary: 'Revoke a token.' },
  }),
  operationRoute(listAudit, {
    ...access,
    ...{ method: 'get', path: '/api/audit', id: 'listAudit', summary: 'Who did what, the newest first.' },
  }),
];

/** Tokens of a person reach beyond the sources that one of them is held to. */
function requireNoSources(_: unknown, { uses }: Call): void {
  if (uses.principal.sources === undefined) return;
  throw new HoldfastError({
    code: 'auth.forbidden',
    message: 'a token that is held to some sources has nothing to do with other tokens',
    remedy: 'Sign in, or use another token.',
  });
}
