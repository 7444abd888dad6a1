/**
 * The provider of identities, asked when somebody signs in by it and not before: one that is away keeps nothing from starting.
 * By openid-client: discovery, PKCE, state, nonce, and every check of OpenID Connect Core 3.1.3.7.
 */
import {
  allowInsecureRequests,
  type ClientAuth,
  ClientSecretBasic,
  ClientSecretPost,
  type Configuration,
  clockSkew,
  clockTolerance,
  discovery,
  None,
  ResponseBodyError,
  WWWAuthenticateChallengeError,
} from 'openid-client';
import { type Clock, systemClock } from '../../base/clock.ts';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import type { Secret } from '../../base/secrets.ts';
import type { GroupRules } from './group-roles.ts';

export interface OidcSettings extends GroupRules {
  /** As the provider calls itself; https, or http on this machine. */
  readonly issuer: string;
  readonly clientId: string;
  /** Read whenever the provider is discovered; absent: a public client, protected by PKCE alone. */
  readonly clientSecret?: () => Promise<Secret>;
  readonly scopes: readonly string[];
  readonly groupsClaim: string;
  /** Whether an account with the same e-mail address, verified by the provider, is theirs. */
  readonly linkByEmail?: boolean;
}

/** What was learned of a provider is learned anew after this long. */
const freshMs = 3_600_000;
const answerSeconds = 10;
const skewSeconds = 30;

export class OidcProvider {
  readonly settings: OidcSettings;
  readonly #clock: Clock;
  #known: { readonly configuration: Promise<Configuration>; readonly untilMs: number } | undefined;

  constructor(settings: OidcSettings, clock: Clock) {
    this.settings = settings;
    this.#clock = clock;
  }

  /** `auth.provider` if it does not answer; the next one who asks tries again. */
  async configuration(): Promise<Configuration> {
    const nowMs = this.#clock.nowMs();
    if (this.#known === undefined || this.#known.untilMs <= nowMs) {
      this.#known = { configuration: this.#discover(), untilMs: nowMs + freshMs };
    }
    const known = this.#known;
    try {
      return await known.configuration;
    } catch (cause) {
      if (this.#known === known) this.#known = undefined;
      throw cause instanceof HoldfastError ? cause : away(this.settings.issuer, cause);
    }
  }

  /** What it said of itself, or our secret, is not right any more. */
  forget(): void {
    this.#known = undefined;
  }

  async #discover(): Promise<Configuration> {
    const { issuer, clientId, clientSecret } = this.settings;
    const url = new URL(issuer);
    const isHere = ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
    const secret = (await clientSecret?.())?.reveal();
    const metadata = {
      // The library reads the system's clock; so it follows the one that was given.
      [clockSkew]: Math.round((this.#clock.nowMs() - systemClock.nowMs()) / 1000),
      [clockTolerance]: skewSeconds,
      ...(secret === undefined ? {} : { client_secret: secret }),
    };
    return await discovery(url, clientId, metadata, authenticationWith(secret), {
      timeout: answerSeconds,
      ...(url.protocol === 'http:' && isHere ? { execute: [allowInsecureRequests] } : {}),
    });
  }
}

/** `client_secret_basic` is what providers expect of a client unless told otherwise (OpenID Connect Core, 9). */
function authenticationWith(secret: string | undefined): ClientAuth {
  if (secret === undefined) return None();
  const [basic, post] = [ClientSecretBasic(secret), ClientSecretPost(secret)];
  return (server, ...rest) => {
    const methods = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
    const usePost = methods.includes('client_secret_post') && !methods.includes('client_secret_basic');
    return usePost ? post(server, ...rest) : basic(server, ...rest);
  };
}

/** It did not answer, or with an error of its own. */
export function away(issuer: string, cause: unknown): HoldfastError {
  const why = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  return new HoldfastError({
    code: 'auth.provider',
    message: `the provider of identities at ${issuer} cannot be asked: ${messageOf(why).slice(0, 200)}`,
    remedy: 'Sign in with a password or passkey meanwhile; check server.oidc.issuer, and that this server reaches it.',
    retry: 'later',
    cause,
  });
}

/** True for a secret or client that the provider does not take: ours is wrong, not the person. */
export function isOurFault(error: unknown): boolean {
  if (error instanceof WWWAuthenticateChallengeError) {
    return error.cause.some(({ parameters, scheme }) => parameters.error === 'invalid_client' || scheme === 'basic');
  }
  return error instanceof ResponseBodyError && ['invalid_client', 'unauthorized_client'].includes(error.error);
}
