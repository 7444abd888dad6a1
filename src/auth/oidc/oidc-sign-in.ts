/** The way to the provider and back. */
import {
  AuthorizationResponseError,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  ClientError,
  calculatePKCECodeChallenge,
  fetchUserInfo,
  ResponseBodyError,
  randomNonce,
  randomPKCECodeVerifier,
  randomState,
} from 'openid-client';
import { HoldfastError } from '../../base/errors.ts';
import type { Secret } from '../../base/secrets.ts';
import { storable } from '../../catalogue/transaction.ts';
import { countAttempt, giveBack } from '../access/attempts.ts';
import { recordAudit } from '../access/audit.ts';
import { beginFlow, takeFlow } from '../access/flows.ts';
import { listSessions, requireRecentSignIn, type SignedIn, startSession } from '../access/sessions.ts';
import { type AuthUses, type Origin, refused } from '../auth-uses.ts';
import { groupsOf } from './group-roles.ts';
import { accountOfIdentity, type Identity } from './identity.ts';
import { away, isOurFault, type OidcProvider } from './provider.ts';

export const oidcFlowMs = 10 * 60_000;

interface Begun {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
  readonly redirectUri: string;
  readonly returnTo: string;
  /** The session that links the provider to its account. */
  readonly session?: string;
}

/**
 * Where to send the browser (`url`), and what it has to bring back in a cookie (`flow`, see `flowCookie`; ten minutes).
 * `redirectUri`: the callback as the provider knows it. `linkTo`: the account of who is signed in, recently, and adds this way of doing
 * so. `auth.provider`, `auth.limited`.
 */
export async function beginOidc(
  provider: OidcProvider,
  begin: {
    readonly redirectUri: string;
    /** A path of this server to go on to; anything else becomes `/`. */
    readonly returnTo?: string;
    readonly linkTo?: {
      readonly userId: string;
      readonly session: { readonly id: string; readonly createdAtMs: number };
    };
    readonly address: string;
  },
  uses: AuthUses,
): Promise<{ readonly url: string; readonly flow: Secret; readonly expiresAtMs: number }> {
  if (begin.linkTo !== undefined) requireRecentSignIn(begin.linkTo.session, uses);
  await countAttempt('begin', { address: begin.address }, uses);
  const configuration = await provider.configuration();
  const document: Begun = {
    state: randomState(),
    nonce: randomNonce(),
    verifier: randomPKCECodeVerifier(),
    redirectUri: begin.redirectUri,
    returnTo: ownPath(begin.returnTo),
    ...(begin.linkTo === undefined ? {} : { session: begin.linkTo.session.id }),
  };
  const url = buildAuthorizationUrl(configuration, {
    redirect_uri: begin.redirectUri,
    scope: [...new Set(['openid', ...provider.settings.scopes])].join(' '),
    response_type: 'code',
    code_challenge: await calculatePKCECodeChallenge(document.verifier),
    code_challenge_method: 'S256',
    state: document.state,
    nonce: document.nonce,
  });
  const flow = await beginFlow({ purpose: 'oidc', userId: begin.linkTo?.userId, document, forMs: oidcFlowMs }, uses);
  return { url: url.href, flow, expiresAtMs: uses.clock.nowMs() + oidcFlowMs };
}

/**
 * The browser is back: `query` is what follows `?` in the address it came with, `flow` what the cookie holds. Each flow works
 * once, whatever comes of it. `auth.refused` for everything that is not as it should be, `auth.forbidden` if no group gives a
 * role, `auth.provider`, `auth.limited`.
 */
export async function completeOidc(
  provider: OidcProvider,
  back: { readonly query: string; readonly flow: Secret | undefined },
  origin: Origin,
  uses: AuthUses,
): Promise<SignedIn & { readonly returnTo: string }> {
  const attempt = await countAttempt('oidc', { address: origin.address }, uses);
  try {
    if (back.flow === undefined) throw refused('this browser did not begin a sign-in', 'Begin again in this browser.');
    const begun = await takeFlow<Begun>('oidc', back.flow, uses);
    if (begun.userId !== null) await requireStillSignedIn(begun.userId, begun.document, uses);
    const identity = await identityFrom(provider, back.query, begun.document);
    const account = await accountOfIdentity(identity, { settings: provider.settings, linkTo: begun.userId }, uses);
    const signedIn = await startSession(account, 'oidc', origin, uses);
    await giveBack(attempt, uses);
    return { ...signedIn, returnTo: begun.document.returnTo };
  } catch (error) {
    if (error instanceof HoldfastError && ['auth.refused', 'auth.forbidden'].includes(error.code)) {
      const facts = { method: 'oidc', why: error.message };
      await recordAudit(
        { actor: 'nobody', action: 'sign-in', outcome: 'refused', address: origin.address, facts },
        uses,
      );
    }
    throw error;
  }
}

/** Who signed a stolen session out must not get it back as a link to somebody else's identity. */
async function requireStillSignedIn(userId: string, { session }: Begun, uses: AuthUses): Promise<void> {
  const live = await listSessions(userId, uses);
  if (live.some((one) => one.id === session)) return;
  throw refused('the session that was to be linked to the provider has ended', 'Sign in, and link it again.');
}

async function identityFrom(provider: OidcProvider, query: string, begun: Begun): Promise<Identity> {
  const { issuer, groupsClaim } = provider.settings;
  const configuration = await provider.configuration();
  const url = new URL(begun.redirectUri);
  url.search = query;
  try {
    const tokens = await authorizationCodeGrant(configuration, url, {
      pkceCodeVerifier: begun.verifier,
      expectedState: begun.state,
      expectedNonce: begun.nonce,
      idTokenExpected: true,
    });
    const claims = tokens.claims();
    if (claims === undefined)
      throw refused('the provider said nothing of who it is', 'The scope openid has to be allowed there.');
    // Many providers tell groups and e-mail only when they are asked once more.
    const needsMore = claims[groupsClaim] === undefined || claims.email === undefined;
    const canAsk = configuration.serverMetadata().userinfo_endpoint !== undefined;
    const more = needsMore && canAsk ? await fetchUserInfo(configuration, tokens.access_token, claims.sub) : {};
    const all: Readonly<Record<string, unknown>> = { ...more, ...claims };
    return {
      issuer: claims.iss,
      subject: storable(claims.sub),
      name: textOf(all.preferred_username),
      email: textOf(all.email)?.toLowerCase(),
      emailVerified: all.email_verified === true || all.email_verified === 'true',
      groups: groupsOf(all[groupsClaim]),
    };
  } catch (error) {
    throw explained(error, issuer, provider);
  }
}

/** An error of the library, or of the provider, as somebody at the sign-in page can use it. What the address says is not repeated. */
function explained(error: unknown, issuer: string, provider: OidcProvider): HoldfastError {
  if (error instanceof HoldfastError) return error;
  if (error instanceof AuthorizationResponseError) {
    const known = /^[a-z_]{1,40}$/.test(error.error) ? error.error : 'an error';
    return refused(`the provider did not sign you in (${known})`, 'Begin again, or ask who looks after the provider.');
  }
  if (isOurFault(error)) {
    provider.forget();
    return new HoldfastError({
      code: 'auth.provider',
      message: `the provider at ${issuer} does not take this server's client id or secret`,
      remedy: 'Compare server.oidc.clientId and clientSecret with what the provider has.',
      cause: error,
    });
  }
  if (error instanceof ResponseBodyError) {
    return refused('the provider did not take the code: it was used before, or is too old', 'Begin again.');
  }
  if (error instanceof ClientError && !/TIMEOUT|ABORT|RESPONSE_IS_NOT_CONFORM/.test(error.code ?? '')) {
    return new HoldfastError({
      code: 'auth.refused',
      message: 'what came back is not the answer to what was begun here',
      remedy: 'Begin again in this browser; check the clocks of this server and of the provider.',
      cause: error,
    });
  }
  return away(issuer, error);
}

function textOf(claim: unknown): string | undefined {
  return typeof claim === 'string' && claim !== '' && claim.length <= 320 ? storable(claim) : undefined;
}

/** Only a path of this server: never a way to somebody else's page. */
function ownPath(path: string | undefined): string {
  return path !== undefined && /^\/(?![/\\])[\x21-\x7e]*$/.test(path) && !path.includes('\\') ? path : '/';
}
