/** Signing in and out, and the first owner. */
import { z } from 'zod';
import {
  beginOidc,
  beginPasskeySignIn,
  clearedFlowCookie,
  clearedSessionCookie,
  completeOidc,
  completeSetUp,
  cookieValue,
  endSession,
  flowCookie,
  flowCookieName,
  isSetUpNeeded,
  type OidcProvider,
  type Origin,
  type SignedIn,
  sessionCookie,
  signInWithPasskey,
  signInWithPassword,
  signInWithSecondFactor,
  usePasswordLink,
} from '../../auth/index.ts';
import { HoldfastError } from '../../base/errors.ts';
import { Secret } from '../../base/secrets.ts';
import { type Call, type Route, route } from '../route.ts';

const open = { tag: 'sign', access: 'anyone', unaudited: true } as const;
const text = z.string().min(1).max(1000);
const signedIn = z.object({ name: z.string(), expiresAtMs: z.number() });
const answer = { form: 'json', schema: signedIn } as const;
export const callbackPath = '/api/sign-in/oidc/callback';

export const signInRoutes: readonly Route[] = [
  route({
    ...open,
    ...{ method: 'get', path: '/api/sign-in', id: 'showSignIn' },
    summary: 'How one can sign in here, and whether there is an owner yet.',
    answer: { form: 'json', schema: z.object({ setUpNeeded: z.boolean(), oidc: z.string().optional() }) },
    run: async (_, { parts }) => {
      const issuer = parts.oidc()?.settings.issuer;
      return { setUpNeeded: await isSetUpNeeded(parts), ...(issuer === undefined ? {} : { oidc: issuer }) };
    },
  }),
  route({
    ...open,
    ...{ method: 'post', path: '/api/set-up', id: 'setUp' },
    summary: 'Make the first owner, with the code the server printed when it started.',
    body: { code: text, name: text, email: z.email().optional(), password: text },
    answer,
    run: async ({ password, ...rest }, call) =>
      welcome(await completeSetUp({ ...rest, password: new Secret(password) }, originOf(call), call.parts), call),
  }),
  route({
    ...open,
    ...{ method: 'post', path: '/api/sign-in/password', id: 'signInWithPassword' },
    summary: 'Sign in with a name and a password; `flow` in the answer means that a second factor is needed.',
    body: { name: text, password: text },
    answer: { form: 'json', schema: z.union([signedIn, z.object({ flow: z.string() })]) },
    run: async ({ name, password }, call) => {
      const outcome = await signInWithPassword({ name, password: new Secret(password) }, originOf(call), call.parts);
      return 'flow' in outcome ? { flow: outcome.flow.reveal() } : welcome(outcome, call);
    },
  }),
  route({
    ...open,
    ...{ method: 'post', path: '/api/sign-in/second-factor', id: 'signInWithSecondFactor' },
    summary: 'The second step: a code of the authenticator, or a recovery code.',
    body: { flow: text, code: text },
    answer,
    run: async ({ flow, code }, call) =>
      welcome(await signInWithSecondFactor({ flow: new Secret(flow), code }, originOf(call), call.parts), call),
  }),
  route({
    ...open,
    ...{ method: 'post', path: '/api/sign-in/passkey/begin', id: 'beginPasskeySignIn' },
    summary: 'What the browser asks a passkey.',
    answer: { form: 'json', schema: z.object({ flow: z.string(), options: z.looseObject({}) }) },
    run: async (_, { facts, parts }) => {
      const { flow, options } = await beginPasskeySignIn({ url: facts.origin }, facts.address, parts);
      return { flow: flow.reveal(), options };
    },
  }),
  route({
    ...open,
    ...{ method: 'post', path: '/api/sign-in/passkey', id: 'signInWithPasskey' },
    summary: 'Sign in with what the passkey answered.',
    body: { flow: text, response: z.looseObject({}) },
    answer,
    run: async ({ flow, response }, call) => {
      const place = { site: { url: call.facts.origin }, origin: originOf(call) };
      return welcome(await signInWithPasskey({ flow: new Secret(flow), response }, place, call.parts), call);
    },
  }),
  route({
    ...open,
    ...{ method: 'post', path: '/api/sign-in/password-link', id: 'usePasswordLink' },
    summary: 'Set a password with the link somebody was given.',
    body: { link: text, password: text },
    answer: { form: 'nothing' },
    run: async ({ link, password }, { facts, parts }) => {
      await usePasswordLink({ link: new Secret(link), password: new Secret(password) }, facts.address, parts);
    },
  }),
  route({
    ...open,
    ...{ method: 'get', path: '/api/sign-in/oidc', id: 'beginOidc' },
    summary: 'Sign in with the provider of identities: sends the browser there.',
    query: { returnTo: z.string().max(2000).optional() },
    answer: { form: 'redirect' },
    run: async ({ returnTo }, { facts, parts }) => {
      const begin = { redirectUri: `${facts.origin}${callbackPath}`, returnTo, address: facts.address };
      const { url, flow, expiresAtMs } = await beginOidc(providerOf(parts.oidc()), begin, parts);
      return redirect(url, [flowCookie(flow, expiresAtMs, facts)]);
    },
  }),
  route({
    ...open,
    ...{ method: 'get', path: callbackPath, id: 'completeOidc' },
    summary: 'Where the provider sends the browser back to.',
    anyQuery: true,
    answer: { form: 'redirect' },
    run: async (_, call) => {
      const { facts, parts, request } = call;
      const flow = cookieValue(facts.cookie, flowCookieName(facts));
      const query = new URL(request.url).search;
      const outcome = await completeOidc(providerOf(parts.oidc()), { query, flow }, originOf(call), parts);
      const cookies = [sessionCookie(outcome.session, outcome.expiresAtMs, facts), clearedFlowCookie(facts)];
      return redirect(outcome.returnTo, cookies);
    },
  }),
  route({
    ...{ method: 'post', path: '/api/sign-out', id: 'signOut', tag: 'sign', access: 'signed-in', unaudited: true },
    summary: 'End the session of this browser.',
    answer: { form: 'nothing' },
    secret: true,
    run: async (_, { caller, facts, parts }) => {
      const { session } = facts.credentials;
      if (session !== undefined) {
        await endSession(session, { name: caller.principal.name, address: facts.address }, parts);
      }
      return new Response(null, { status: 204, headers: { 'set-cookie': clearedSessionCookie(facts) } });
    },
  }),
];

function originOf({ facts }: Call): Origin {
  const { address, userAgent, credentials } = facts;
  return { address, agent: userAgent, ...(credentials.session ? { replaces: credentials.session } : {}) };
}

/** The session goes into the cookie and nowhere else. */
function welcome({ name, session, expiresAtMs }: SignedIn, { facts }: Call): Response {
  const headers = { 'set-cookie': sessionCookie(session, expiresAtMs, facts) };
  return Response.json({ name, expiresAtMs }, { headers });
}

function redirect(location: string, cookies: readonly string[]): Response {
  const headers = new Headers({ location });
  for (const cookie of cookies) headers.append('set-cookie', cookie);
  return new Response(null, { status: 302, headers });
}

export function providerOf(provider: OidcProvider | undefined): OidcProvider {
  if (provider) return provider;
  throw new HoldfastError({
    code: 'object.unknown',
    message: 'no provider of identities is configured',
    remedy: 'Sign in another way, or set server: oidc.',
  });
}
