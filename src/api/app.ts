/** The HTTP API as one function from a request to a response; who listens is the daemon's business. */
import { Hono } from 'hono';
import { z } from 'zod';
import type { HoldfastError } from '../base/errors.ts';
import { answer } from './answer.ts';
import { problemResponse, RequestError } from './answers/problem.ts';
import { openApiDocument } from './openapi.ts';
import type { ApiParts } from './parts.ts';
import { factsOf } from './requests/facts.ts';
import { forwardedAsSet } from './requests/proxies.ts';
import { answersHead, type Route, route } from './route.ts';
import { routes as allRoutes } from './routes/index.ts';

/** What the listener knows of a connection. */
export interface Connection {
  readonly peer: string;
  readonly secure: boolean;
}

type Bindings = { Bindings: { connection: Connection } };

export interface App {
  fetch(request: Request, connection: Connection): Promise<Response>;
}

export function createApp(parts: ApiParts, others: readonly Route[] = allRoutes): App {
  const routes: readonly Route[] = [...others, documentRoute(() => routes)];
  const forwarded = forwardedAsSet(parts.settings);
  const app = new Hono<Bindings>({ strict: true });
  const factsFor = (request: Request, path: string, connection: Connection) =>
    factsOf(request, path, forwarded({ ...connection, headers: request.headers }), parts.settings.url);
  for (const route of routes) {
    app.on(route.method.toUpperCase(), route.path.replaceAll(/\{(\w+)\}/g, ':$1'), async (c) => {
      // HEAD comes here, too: link scanners, previews of chats and `curl -I` send it.
      if (c.req.method === 'HEAD' && !answersHead(route)) throw missing(routes, 'HEAD', c.req.path);
      const facts = factsFor(c.req.raw, c.req.path, c.env.connection);
      const { searchParams } = new URL(c.req.url);
      return await answer(route, { request: c.req.raw, params: c.req.param(), query: searchParams, facts }, parts);
    });
  }
  app.notFound((c) => {
    throw missing(routes, c.req.method, c.req.path);
  });
  app.onError((error, c) => {
    const facts = factsFor(c.req.raw, c.req.path, c.env.connection);
    return problemResponse(error, { ...facts, log: parts.log, clock: parts.clock });
  });
  return {
    fetch: async (request, connection) => {
      const response = await app.fetch(request, { connection });
      return secured(response, forwarded({ ...connection, headers: request.headers }).secure);
    },
  };
}

/** The document says of itself, too. */
function documentRoute(routes: () => readonly Route[]): Route {
  let document: string | undefined;
  return route({
    ...{ method: 'get', path: '/api/openapi.json', id: 'showOpenApi', tag: 'server', access: 'anyone', head: true },
    summary: 'This document.',
    answer: { form: 'stream', type: 'application/json', description: 'OpenAPI 3.1.', schema: z.looseObject({}) },
    run: async () => {
      document ??= JSON.stringify(openApiDocument(routes(), '/'));
      return new Response(document, { headers: { 'content-type': 'application/json' } });
    },
  });
}

function missing(routes: readonly Route[], method: string, path: string): HoldfastError {
  const allowed = routes
    .filter((route) => patternOf(route.path).test(path))
    .flatMap((route) => [route.method.toUpperCase(), ...(answersHead(route) ? ['HEAD'] : [])]);
  if (allowed.length === 0) {
    return new RequestError(
      404,
      `there is nothing at ${path.slice(0, 200)}`,
      'See /api/openapi.json for what there is.',
    );
  }
  const allow = [...new Set(allowed)].join(', ');
  return new RequestError(405, `${method} is not for ${path.slice(0, 200)}`, `It takes ${allow}.`, { allow });
}

function patternOf(path: string): RegExp {
  const source = path
    .split(/\{\w+\}/)
    .map((text) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`))
    .join('[^/]+');
  return new RegExp(`^${source}$`);
}

/** Nothing of the API is a page: nothing in it is run, framed, guessed at or kept. */
const always = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'x-frame-options': 'DENY',
} as const;

function secured(response: Response, isSecure: boolean): Response {
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(always)) headers.set(name, value);
  if (!headers.has('cache-control')) headers.set('cache-control', 'no-store');
  if (isSecure) headers.set('strict-transport-security', 'max-age=31536000');
  return new Response(response.body, { status: response.status, headers });
}
