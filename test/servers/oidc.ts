/** A real OpenID Connect provider (npm oidc-provider) on this machine, and a browser that signs in there. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type Configuration, Provider } from 'oidc-provider';
import { freePort } from './free-port.ts';

export interface OidcPerson {
  readonly email?: string;
  readonly email_verified?: boolean;
  readonly groups?: readonly string[];
  readonly preferred_username?: string;
}

export interface OidcServer extends AsyncDisposable {
  readonly issuer: string;
  readonly redirectUri: string;
  readonly clientSecret: string;
  /** Who may sign in, by the name they type. Changes count at once. */
  readonly people: Map<string, OidcPerson>;
  stop(): Promise<void>;
  start(): Promise<void>;
}

export interface OidcServerOptions {
  /** Claims come from the user info endpoint only. */
  readonly onlyUserInfo?: boolean;
  /** Where browsers are sent back to. */
  readonly redirectUri?: string;
}

/** Clients: `holdfast`; `hasty`, whose codes live for a second. */
export async function startOidc({
  onlyUserInfo = false,
  redirectUri = 'http://127.0.0.1:8321/api/sign-in/oidc/callback',
}: OidcServerOptions = {}): Promise<OidcServer> {
  const clientSecret = randomBytes(24).toString('base64url');
  const people = new Map<string, OidcPerson>();
  const server = createServer();
  const port = await freePort();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${port}`;
  const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
  const client = { client_secret: clientSecret, redirect_uris: [redirectUri] };
  const configuration: Configuration = {
    clients: [
      { ...client, client_id: 'holdfast' },
      { ...client, client_id: 'hasty' },
    ],
    jwks: { keys: [{ ...key, use: 'sig', alg: 'RS256' }] } as Configuration['jwks'],
    cookies: { keys: [randomBytes(16).toString('hex')] },
    claims: {
      openid: ['sub'],
      email: ['email', 'email_verified'],
      profile: ['preferred_username'],
      groups: ['groups'],
    },
    scopes: ['openid', 'email', 'profile', 'groups'],
    conformIdTokenClaims: onlyUserInfo,
    pkce: { required: () => true },
    ttl: {
      AuthorizationCode: (_, __, { clientId }) => (clientId === 'hasty' ? 1 : 60),
      AccessToken: 300,
      IdToken: 300,
      Interaction: 300,
      Session: 300,
      Grant: 300,
    },
    findAccount: async (_, id) => ({
      accountId: id,
      claims: async () => ({ sub: id, ...(people.get(id) ?? {}) }) as { sub: string },
    }),
  };
  // It says on the console that its sign-in pages are for tests: that is what they are used for.
  const { warn, info } = console;
  Object.assign(console, { warn: () => undefined, info: () => undefined });
  const provider = new Provider(issuer, configuration);
  Object.assign(console, { warn, info });
  server.on('request', provider.callback());
  return {
    issuer,
    redirectUri,
    clientSecret,
    people,
    stop: () => close(server),
    async start() {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
    },
    [Symbol.asyncDispose]: () => close(server),
  };
}

async function close(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

/** Signs in as `name` at `url`; gives what follows `?` in the address the browser is sent back with. */
export async function signInAtProvider(url: string, name: string, { redirectUri }: OidcServer): Promise<string> {
  const cookies = new Map<string, string>();
  let next = { url, body: undefined as string | undefined };
  for (let step = 0; step < 20; step++) {
    const response = await fetch(next.url, {
      method: next.body === undefined ? 'GET' : 'POST',
      body: next.body,
      redirect: 'manual',
      headers: {
        cookie: [...cookies].map(([key, value]) => `${key}=${value}`).join('; '),
        ...(next.body === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
      },
    });
    keepCookies(cookies, response);
    const page = await response.text();
    const location = response.headers.get('location');
    if (location !== null) {
      const target = new URL(location, next.url);
      if (target.href.startsWith(redirectUri)) return target.search.slice(1);
      next = { url: target.href, body: undefined };
      continue;
    }
    const action = /<form[^>]*action="([^"]+)"/.exec(page)?.[1];
    const prompt = /name="prompt" value="([^"]+)"/.exec(page)?.[1];
    if (action === undefined || prompt === undefined)
      throw new Error(`the provider shows no form: ${page.slice(0, 500)}`);
    const body = new URLSearchParams(prompt === 'login' ? { prompt, login: name, password: 'x' } : { prompt });
    next = { url: new URL(action, next.url).href, body: body.toString() };
  }
  throw new Error('the provider sends the browser round in circles');
}

function keepCookies(cookies: Map<string, string>, response: Response): void {
  for (const line of response.headers.getSetCookie()) {
    const [pair] = line.split(';');
    const at = pair.indexOf('=');
    if (pair.slice(at + 1) === '') cookies.delete(pair.slice(0, at));
    else cookies.set(pair.slice(0, at), pair.slice(at + 1));
  }
}
