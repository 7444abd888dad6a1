/** What who is signed in sees and changes of their own account. */
import { z } from 'zod';
import {
  beginOidc,
  beginPasskey,
  beginTotp,
  changePassword,
  confirmTotp,
  endSessionById,
  finishPasskey,
  flowCookie,
  listLinks,
  listPasskeys,
  listSessions,
  removeLinks,
  removePasskey,
  removeTotp,
  renewRecoveryCodes,
} from '../../auth/index.ts';
import { HoldfastError } from '../../base/errors.ts';
import { Secret } from '../../base/secrets.ts';
import { roles } from '../../model/principal.ts';
import { type Call, type Route, route } from '../route.ts';
import { callbackPath, providerOf } from './sign-in.ts';

/** AUTH writes the audit log of these itself. */
const own = { tag: 'sign', access: 'signed-in', unaudited: true } as const;
const text = z.string().min(1).max(1000);
const session = z.object({
  ...{ id: z.string(), createdAtMs: z.number(), seenAtMs: z.number(), expiresAtMs: z.number() },
  ...{ method: z.string(), address: z.string(), agent: z.string(), current: z.boolean() },
});
const passkey = z.object({
  ...{ id: z.string(), title: z.string(), createdAtMs: z.number(), lastUsedAtMs: z.number().optional() },
});
const recoveryCodes = z.object({ recoveryCodes: z.array(z.string()) });
const nothing = { form: 'nothing' } as const;

export const meRoutes: readonly Route[] = [
  route({
    ...own,
    ...{ method: 'get', path: '/api/me', id: 'showMe' },
    summary: 'Who one is here, and what one may do.',
    answer: {
      form: 'json',
      schema: z.object({
        ...{ kind: z.string(), name: z.string(), sources: z.array(z.string()).optional() },
        /** By workspace; `*` is everywhere. */
        roles: z.record(z.string(), z.enum(roles)),
        session: z.object({ createdAtMs: z.number(), method: z.string() }).optional(),
      }),
    },
    run: async (_, { caller }) => {
      const { kind, name, roles: held, sources } = caller.principal;
      const { createdAtMs, method } = caller.session ?? {};
      return {
        ...{ kind, name, roles: Object.fromEntries(held) },
        ...(sources ? { sources: [...sources] } : {}),
        ...(createdAtMs === undefined ? {} : { session: { createdAtMs, method } }),
      };
    },
  }),
  route({
    ...own,
    ...{ method: 'put', path: '/api/me/password', id: 'changeMyPassword', secret: true },
    summary: 'Change one’s own password. All other sessions end.',
    body: { current: text.optional(), password: text },
    answer: nothing,
    run: async ({ current, password }, call) => {
      const change = { ...selfOf(call), password: new Secret(password) };
      const before = current === undefined ? {} : { current: new Secret(current) };
      await changePassword({ ...change, ...before }, call.facts.address, call.parts);
    },
  }),
  route({
    ...own,
    ...{ method: 'get', path: '/api/me/sessions', id: 'listMySessions' },
    summary: 'Where one is signed in.',
    answer: { form: 'json', schema: z.object({ sessions: z.array(session) }) },
    run: async (_, call) => {
      const self = selfOf(call);
      const sessions = await listSessions(self.userId, call.parts);
      return { sessions: sessions.map((one) => ({ ...one, current: one.id === self.session.id })) };
    },
  }),
  route({
    ...own,
    ...{ method: 'delete', path: '/api/me/sessions/{session}', id: 'endMySession' },
    summary: 'End one of one’s own sessions.',
    params: { session: text },
    answer: nothing,
    run: async ({ session: id }, call) => {
      await endSessionById(selfOf(call).userId, id, askerOf(call), call.parts);
    },
  }),
  route({
    ...own,
    ...{ method: 'post', path: '/api/me/totp', id: 'beginTotp', secret: true },
    summary: 'Begin to add a second factor: a key for an authenticator.',
    answer: { form: 'json', schema: z.object({ flow: z.string(), key: z.string(), uri: z.string() }) },
    run: async (_, call) => {
      const { flow, key, uri } = await beginTotp(selfOf(call), call.parts);
      return { flow: flow.reveal(), key: key.reveal(), uri: uri.reveal() };
    },
  }),
  route({
    ...own,
    ...{ method: 'post', path: '/api/me/totp/confirm', id: 'confirmTotp', secret: true },
    summary: 'Add the second factor, with a code of it; the answer holds recovery codes, told only now.',
    body: { flow: text, code: text },
    answer: { form: 'json', schema: recoveryCodes },
    run: async ({ flow, code }, call) => {
      const self = selfOf(call);
      const given = { userId: self.userId, flow: new Secret(flow), code, keepSession: self.session.id };
      return revealed(await confirmTotp(given, call.facts.address, call.parts));
    },
  }),
  route({
    ...own,
    ...{ method: 'delete', path: '/api/me/totp', id: 'removeTotp' },
    summary: 'Take the second factor away.',
    answer: nothing,
    run: async (_, call) => {
      await removeTotp(selfOf(call), call.facts.address, call.parts);
    },
  }),
  route({
    ...own,
    ...{ method: 'post', path: '/api/me/recovery-codes', id: 'renewRecoveryCodes', secret: true },
    summary: 'New recovery codes in place of the old ones.',
    answer: { form: 'json', schema: recoveryCodes },
    run: async (_, call) => revealed(await renewRecoveryCodes(selfOf(call), call.facts.address, call.parts)),
  }),
  route({
    ...own,
    ...{ method: 'get', path: '/api/me/passkeys', id: 'listMyPasskeys' },
    summary: 'One’s own passkeys.',
    answer: { form: 'json', schema: z.object({ passkeys: z.array(passkey) }) },
    run: async (_, call) => ({ passkeys: await listPasskeys(selfOf(call).userId, call.parts) }),
  }),
  route({
    ...own,
    ...{ method: 'post', path: '/api/me/passkeys/begin', id: 'beginPasskey', secret: true },
    summary: 'What the browser asks a new passkey.',
    answer: { form: 'json', schema: z.object({ flow: z.string(), options: z.looseObject({}) }) },
    run: async (_, call) => {
      const { flow, options } = await beginPasskey(selfOf(call), { url: call.facts.origin }, call.parts);
      return { flow: flow.reveal(), options };
    },
  }),
  route({
    ...own,
    ...{ method: 'post', path: '/api/me/passkeys', id: 'finishPasskey', secret: true },
    summary: 'Add a passkey, with what it answered.',
    body: { flow: text, response: z.looseObject({}), title: text },
    answer: { form: 'json', schema: z.object({ id: z.string() }), status: 201 },
    run: async ({ flow, response, title }, call) => {
      const given = { userId: selfOf(call).userId, flow: new Secret(flow), response, title };
      const { origin: url, address } = call.facts;
      return await finishPasskey(given, { site: { url }, address }, call.parts);
    },
  }),
  route({
    ...own,
    ...{ method: 'delete', path: '/api/me/passkeys/{passkey}', id: 'removePasskey' },
    summary: 'Remove one of one’s own passkeys.',
    params: { passkey: text },
    answer: nothing,
    run: async ({ passkey: id }, call) => {
      await removePasskey({ ...selfOf(call), id }, call.facts.address, call.parts);
    },
  }),
  route({
    ...own,
    ...{ method: 'get', path: '/api/me/provider', id: 'showMyProvider' },
    summary: 'The providers of identities that one’s own account is linked to.',
    answer: { form: 'json', schema: z.object({ issuers: z.array(z.string()) }) },
    run: async (_, call) => ({ issuers: await listLinks(selfOf(call).userId, call.parts) }),
  }),
  route({
    ...own,
    ...{ method: 'post', path: '/api/me/provider', id: 'linkMyProvider', secret: true },
    summary: 'Link the provider of identities to one’s own account: where to send the browser.',
    body: { returnTo: z.string().max(2000).optional() },
    answer: { form: 'json', schema: z.object({ url: z.string() }) },
    run: async ({ returnTo }, call) => {
      const { facts, parts } = call;
      const begin = { redirectUri: `${facts.origin}${callbackPath}`, returnTo, linkTo: selfOf(call) };
      const { url, flow, expiresAtMs } = await beginOidc(
        providerOf(parts.oidc()),
        { ...begin, address: facts.address },
        parts,
      );
      return Response.json({ url }, { headers: { 'set-cookie': flowCookie(flow, expiresAtMs, facts) } });
    },
  }),
  route({
    ...own,
    ...{ method: 'delete', path: '/api/me/provider', id: 'unlinkMyProvider' },
    summary: 'Take the link to the provider away, with the roles its groups gave.',
    answer: nothing,
    run: async (_, call) => {
      await removeLinks(selfOf(call), call.facts.address, call.parts);
    },
  }),
];

/** A token says what may be done, not who is there: one's account is changed by oneself, signed in. `auth.forbidden`. */
function selfOf({ caller }: Call): {
  readonly userId: string;
  readonly session: { readonly id: string; readonly createdAtMs: number };
} {
  const { session: held, principal } = caller;
  if (held !== undefined && principal.userId !== undefined) return { userId: principal.userId, session: held };
  throw new HoldfastError({
    code: 'auth.forbidden',
    message: 'an account is changed by who signed in to it, not with a token',
    remedy: 'Sign in with a browser.',
  });
}

function askerOf({ caller, facts }: Call) {
  return { principal: caller.principal, address: facts.address };
}

function revealed({ recoveryCodes: codes }: { readonly recoveryCodes: readonly Secret[] }) {
  return { recoveryCodes: codes.map((one) => one.reveal()) };
}
