/**
 * Access tokens of Google's OAuth: for a service account by a JWT signed with its key (RFC 7523), for a user by a refresh
 * token, for a machine of Google's by its metadata server. Kept until shortly before they end.
 */
import { sign } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '../../base/clock.ts';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { Secret } from '../../base/secrets.ts';
import type { HttpExchanges, HttpReply } from '../../protocols/http/exchange.ts';
import { noAnswerOf, refusalOf } from '../http-faults.ts';
import { isPassingStatus, withRetries } from '../retry.ts';

const serviceAccount = z.object({
  type: z.literal('service_account'),
  project_id: z.string().optional(),
  private_key_id: z.string().optional(),
  private_key: z.string(),
  client_email: z.string(),
  token_uri: z.url({ protocol: /^https?$/ }).default('https://oauth2.googleapis.com/token'),
});
const authorizedUser = z.object({
  type: z.literal('authorized_user'),
  client_id: z.string(),
  client_secret: z.string(),
  refresh_token: z.string(),
  quota_project_id: z.string().optional(),
  token_uri: z.url({ protocol: /^https?$/ }).default('https://oauth2.googleapis.com/token'),
});
const credentialsForm = z.discriminatedUnion('type', [serviceAccount, authorizedUser]);
export type GoogleCredentials = z.infer<typeof credentialsForm>;

const tokenForm = z.object({ access_token: z.string().min(1), expires_in: z.number().positive() });

const scope = 'https://www.googleapis.com/auth/devstorage.read_write';
/** Tokens are replaced this long before they end. */
const earlyMs = 5 * 60_000;

export interface TokenSource {
  current(): Promise<Secret | undefined>;
  /** The service does not accept the last one: false if there will be no other. */
  renew(): boolean;
}

/** `secret.unavailable` if it is none of the two forms that are known; says nothing of its content. */
export function parseCredentials(json: Secret): GoogleCredentials {
  const parsed = credentialsForm.safeParse(jsonOf(json));
  if (parsed.success) return parsed.data;
  throw new HoldfastError({
    code: 'secret.unavailable',
    message: 'the credentials of the gs storage are not those of a service account or a user',
    remedy: 'Give the JSON file that the console makes for a key of a service account, as it is.',
  });
}

function jsonOf(json: Secret): unknown {
  try {
    return JSON.parse(json.reveal());
  } catch {
    return undefined;
  }
}

export function fixedToken(token: Secret | undefined): TokenSource {
  return { current: async () => token, renew: () => false };
}

export interface TokenUse {
  readonly connections: HttpExchanges;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Of the credentials; without: of the machine. */
export function tokenSource(
  credentials: GoogleCredentials | undefined,
  metadataHost: string,
  use: TokenUse,
): TokenSource {
  const fetched = (): Promise<Token> => (credentials ? byGrant(credentials, use) : ofMachine(metadataHost, use));
  let known: Promise<Token> | undefined;
  return {
    current: async () => {
      const present = await known?.catch(() => undefined);
      if (!present || present.endsAtMs - earlyMs < use.clock.nowMs()) known = fetched();
      return (await (known ?? fetched())).secret;
    },
    renew: () => {
      known = undefined;
      return true;
    },
  };
}

interface Token {
  readonly secret: Secret;
  readonly endsAtMs: number;
}

async function byGrant(credentials: GoogleCredentials, use: TokenUse): Promise<Token> {
  const form: Record<string, string> =
    credentials.type === 'service_account'
      ? { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: assertionOf(credentials, use.clock) }
      : {
          grant_type: 'refresh_token',
          client_id: credentials.client_id,
          client_secret: credentials.client_secret,
          refresh_token: credentials.refresh_token,
        };
  const body = [Buffer.from(new URLSearchParams(form).toString(), 'utf8')];
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  return await ask({ method: 'POST', url: new URL(credentials.token_uri), headers, body }, use);
}

async function ofMachine(host: string, use: TokenUse): Promise<Token> {
  const url = new URL(`http://${host}/computeMetadata/v1/instance/service-accounts/default/token`);
  url.searchParams.set('scopes', scope);
  try {
    return await ask({ method: 'GET', url, headers: { 'metadata-flavor': 'Google' } }, use);
  } catch (cause) {
    if (cause instanceof HoldfastError && cause.code === 'cancelled') throw cause;
    throw new HoldfastError({
      code: 'secret.unavailable',
      message: `there are no credentials for the gs storage, and this machine has no account of its own: ${messageOf(cause)}`,
      remedy:
        'Give gs.credentials (the JSON of a service account’s key), or set GOOGLE_APPLICATION_CREDENTIALS to its path.',
      cause,
    });
  }
}

/** RS256, for an hour. `secret.unavailable` if the key is none. */
export function assertionOf(
  { client_email, token_uri, private_key, private_key_id }: z.infer<typeof serviceAccount>,
  clock: Pick<Clock, 'nowMs'>,
): string {
  const now = Math.floor(clock.nowMs() / 1000);
  const head = { alg: 'RS256', typ: 'JWT', ...(private_key_id === undefined ? {} : { kid: private_key_id }) };
  const claims = { iss: client_email, scope, aud: token_uri, iat: now, exp: now + 3600 };
  const text = [head, claims].map((part) => Buffer.from(JSON.stringify(part), 'utf8').toString('base64url')).join('.');
  try {
    return `${text}.${sign('sha256', Buffer.from(text, 'utf8'), private_key).toString('base64url')}`;
  } catch {
    throw new HoldfastError({
      code: 'secret.unavailable',
      message: `the private key of ${client_email} cannot be used`,
      remedy: 'Give the JSON file that the console makes for a key of a service account, as it is.',
    });
  }
}

interface TokenRequest {
  readonly method: 'GET' | 'POST';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: readonly Uint8Array[];
}

async function ask(
  { method, url, headers, body }: TokenRequest,
  { connections, clock, signal }: TokenUse,
): Promise<Token> {
  const asking = { doing: 'get an access token', location: url.host, settings: 'gs' };
  const protocol = url.protocol === 'http:' ? 'http:' : 'https:';
  const request = { method, protocol, host: url.host, path: url.pathname + url.search, headers, body, signal } as const;
  return await withRetries(
    async () => {
      const reply = await connections.exchange(request).catch((error: unknown) => {
        throw noAnswerOf(error, asking);
      });
      if (reply.status !== 200)
        throw refusalOf(reply, refusedMeaning(reply.status), wordsOf(reply), asking, clock.nowMs());
      const parsed = tokenForm.safeParse(jsonOf(new Secret(textOf(reply))));
      if (!parsed.success)
        throw refusalOf(reply, refusedMeaning(400), 'the answer has no token', asking, clock.nowMs());
      const { access_token, expires_in } = parsed.data;
      return { secret: new Secret(access_token), endsAtMs: clock.nowMs() + expires_in * 1000 };
    },
    { clock, signal },
  );
}

function refusedMeaning(status: number) {
  const remedy =
    'Check gs.credentials: is the key still valid and the account enabled? Check this machine’s clock, too.';
  return isPassingStatus(status)
    ? ({ code: 'storage.unreachable', remedy: 'Run it again later.', retry: 'later' } as const)
    : ({ code: 'storage.denied', remedy } as const);
}

function wordsOf(reply: HttpReply): string {
  const said = z.object({ error_description: z.string() }).safeParse(jsonOf(new Secret(textOf(reply))));
  return said.success ? said.data.error_description : '';
}

function textOf({ body }: HttpReply): string {
  return Buffer.from(body.subarray(0, 65_536)).toString('utf8');
}
