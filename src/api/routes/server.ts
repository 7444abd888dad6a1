/** The server itself: for probes, for Prometheus, and for who got an error. */
import { z } from 'zod';
import { authenticate } from '../../auth/index.ts';
import { type ErrorCode, errorCatalogue, HoldfastError } from '../../base/errors.ts';
import { programVersion } from '../../base/version.ts';
import { problemStatus } from '../answers/problem-status.ts';
import { requireSubject } from '../authorize.ts';
import { type Route, route } from '../route.ts';

const check = z.object({ ok: z.boolean(), message: z.string().optional() });
const health = z.object({ ready: z.boolean(), checks: z.record(z.string(), check) });
const errorView = z.object({ code: z.string(), meaning: z.string(), status: z.number() });

export const serverRoutes: readonly Route[] = [
  route({
    ...{ method: 'get', path: '/', id: 'showFront', tag: 'server', access: 'anyone', unaudited: true, head: true },
    summary: 'What this is, and how it is asked: plain text for who opens the address in a browser.',
    answer: { form: 'stream', type: 'text/plain', description: 'A few lines of text.' },
    run: async (_, { facts }) =>
      new Response(frontPage(facts.origin), { headers: { 'content-type': 'text/plain; charset=utf-8' } }),
  }),
  route({
    ...{ method: 'get', path: '/metrics', id: 'showMetrics', tag: 'server', access: 'anyone', unaudited: true },
    head: true,
    summary: 'Metrics in Prometheus’ text format; a token of a viewer everywhere is needed unless they are open.',
    answer: { form: 'stream', type: 'text/plain', description: 'Prometheus text format, version 0.0.4.' },
    run: async (_, call) => {
      const { parts, facts, uses } = call;
      if (!parts.settings.openMetrics) {
        const { principal } = await authenticate(facts.credentials, parts);
        requireSubject(principal, 'viewer', { everything: true }, uses.config);
      }
      const text = await parts.renderMetrics(uses);
      return new Response(text, { headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' } });
    },
  }),
  route({
    ...{ method: 'get', path: '/health/live', id: 'showLive', tag: 'server', access: 'anyone' },
    summary: 'Whether the process answers: for who would restart it.',
    answer: { form: 'json', schema: z.object({ live: z.boolean() }) },
    run: async () => ({ live: true }),
  }),
  route({
    ...{ method: 'get', path: '/health', id: 'showHealth', tag: 'server', access: 'anyone' },
    head: true,
    summary: 'Whether it can do its work: 200 if so, 503 if not.',
    answer: { form: 'stream', type: 'application/json', description: 'It can.', schema: health },
    run: async (_, { parts }) => {
      const readiness = await parts.readiness();
      return Response.json(readiness, { status: readiness.ready ? 200 : 503 });
    },
  }),
  route({
    ...{ method: 'get', path: '/api/version', id: 'showVersion', tag: 'server', access: 'signed-in' },
    summary: 'The version of the server.',
    answer: { form: 'json', schema: z.object({ version: z.string() }) },
    run: async () => ({ version: programVersion }),
  }),
  route({
    ...{ method: 'get', path: '/api/errors', id: 'listErrors', tag: 'server', access: 'anyone' },
    summary: 'Every error code with what it means.',
    answer: { form: 'json', schema: z.object({ errors: z.array(errorView) }) },
    run: async () => ({ errors: Object.keys(errorCatalogue).map((code) => viewError(code as ErrorCode)) }),
  }),
  route({
    ...{ method: 'get', path: '/api/errors/{code}', id: 'showError', tag: 'server', access: 'anyone' },
    summary: 'What an error code means: where `type` of a problem document leads.',
    params: { code: z.string() },
    answer: { form: 'json', schema: errorView },
    run: async ({ code }) => {
      if (Object.hasOwn(errorCatalogue, code)) return viewError(code as ErrorCode);
      throw new HoldfastError({
        code: 'object.unknown',
        message: `there is no error code ${code.slice(0, 60)}`,
        remedy: 'GET /api/errors lists them.',
      });
    },
  }),
];

function viewError(code: ErrorCode): z.infer<typeof errorView> {
  return { code, meaning: errorCatalogue[code], status: problemStatus(code) };
}

/** The same for everybody: it says nothing of what is here. */
function frontPage(origin: string): string {
  return [
    'Holdfast: self-hosted backups that are proven by restoring them.',
    '',
    'This server has no pages. It is asked',
    `  from the command line   holdfast --server ${origin} status`,
    `  over HTTP               ${origin}/api/openapi.json lists what there is`,
    `  by assistants (MCP)     ${origin}/mcp`,
    'with a token, made on its machine: holdfast token create laptop --user NAME --role operator',
    '',
    'Nobody may use it yet?         On its machine: holdfast user add NAME --role owner',
    'A message named a run?         holdfast runs show ID; holdfast runs log ID',
    'How to use it all?             docs/README.md, where Holdfast is installed',
    '',
  ].join('\n');
}
