/**
 * Who is there and what they may do: accounts, ways to sign in, sessions, tokens, the audit log. Functions over the catalogue
 * and a clock, without any framework; the API makes routes of them, operations make commands.
 *
 * How the API uses it:
 * - Every request: `authenticate({ session: cookieValue(header, sessionCookieName(place)), bearer })` gives the principal
 *   (`auth.required` → 401), one statement, never cached. Rights: `roleIn(principal, workspace)` and `principal.sources`.
 * - Before anything but GET and HEAD where a cookie counts, and before every sign-in: `refuseCrossSite` (see `cross-site.ts`).
 * - Sign-in: `signInWithPassword` gives a session, or `{ flow }` that `signInWithSecondFactor` takes with a code;
 *   `beginPasskeySignIn` / `signInWithPasskey`; `beginOidc` (302 to `url`, cookie `flowCookie`) / `completeOidc` (set the
 *   session cookie, clear the flow cookie, 302 to `returnTo`; the page that is loaded asks by itself who it is, because a
 *   Strict cookie does not travel along a way from another site). Pass the session of before as `origin.replaces`.
 * - `isSetUpNeeded` / `completeSetUp`; at start `openSetUp` gives the code that the server prints.
 * - Sign-out: `endSession` and `clearedSessionCookie`.
 * - What a signed-in person changes of their own account needs `principal.kind === 'user'`: a token does not.
 * - `Secret` values (sessions, tokens, links, recovery codes, keys) are revealed once, into the answer they belong to; such an
 *   answer is `no-store`, and neither logged nor kept for an idempotency key. Everything the API refuses or does beyond what
 *   is recorded here goes to `recordAudit`.
 *
 * The daemon calls `reconcileAccounts` at start and when the configuration changed, and `tidyAuth` once an hour; it makes one
 * `OidcProvider` per configuration.
 */
export { type AuditEntry, type AuditFacts, type AuditFilter, listAudit, recordAudit } from './access/audit.ts';
export {
  type Authenticated,
  authenticate,
  type Credentials,
  type Maker,
  principalOf,
  recogniseAgain,
} from './access/authenticate.ts';
export {
  type CookiePlace,
  clearedFlowCookie,
  clearedSessionCookie,
  cookieValue,
  flowCookie,
  flowCookieName,
  type RequestOrigin,
  refuseCrossSite,
  sessionCookie,
  sessionCookieName,
} from './access/cross-site.ts';
export { hashOf, newSecretText } from './access/random-text.ts';
export {
  endAllSessions,
  endSession,
  endSessionById,
  listSessions,
  requireRecentSignIn,
  type SessionView,
  type SignedIn,
} from './access/sessions.ts';
export { completeSetUp, isSetUpNeeded, openSetUp, type SetUp } from './access/set-up.ts';
export { type SecondFactorNeeded, signInWithPassword, signInWithSecondFactor } from './access/sign-in.ts';
export { tidyAuth } from './access/tidy.ts';
export { createToken, listTokens, type NewToken, revokeToken, type TokenView } from './access/tokens.ts';
export {
  type AccountView,
  addAccount,
  listAccounts,
  type NewAccount,
  removeAccount,
  setDisabled,
  setRole,
} from './accounts/accounts.ts';
export { accountByName } from './accounts/find-account.ts';
export { type HeldRole, membershipOrigins } from './accounts/held-roles.ts';
export { addDeclared, type DeclaredUser, type Reconciled, reconcileAccounts } from './accounts/reconcile.ts';
export { listWorkspaces, type WorkspaceView } from './accounts/workspaces.ts';
export type { Asker, AuthUses, Origin, Sealing } from './auth-uses.ts';
export {
  beginPasskey,
  beginPasskeySignIn,
  finishPasskey,
  listPasskeys,
  type PasskeyView,
  removePasskey,
  resetPasskeys,
  type Site,
  signInWithPasskey,
} from './factors/passkeys.ts';
export { beginTotp, confirmTotp, removeTotp, renewRecoveryCodes, resetTotp, type TotpOffer } from './factors/totp.ts';
export { listLinks, removeLinks } from './oidc/links.ts';
export { beginOidc, completeOidc } from './oidc/oidc-sign-in.ts';
export { OidcProvider, type OidcSettings } from './oidc/provider.ts';
export {
  changePassword,
  issuePasswordLink,
  type PasswordChange,
  setPassword,
  usePasswordLink,
} from './passwords/change-password.ts';
