/** Every route of the served document, asked for what its schema allows and what it does not, and by hostile clients. */
import { connect } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DocumentedRoute, documentedRoutes, type JsonSchema } from '../support/api-document.ts';
import { initCheaply } from '../support/cheap-repository.ts';
import { Serving } from '../support/serving.ts';

const marker = 'k3rk3ring-nobody-may-see';
const serving = new Serving(
  `
repositories: { main: { url: FOLDER/repo, password: { env: PW } } }
sources: { notes: { driver: files, paths: [FOLDER/notes], repository: main } }
`,
  { PW: marker },
);
let routes: DocumentedRoute[];
/** Requests for each route; more with FUZZ=100. */
const rounds = Number(process.env.FUZZ ?? 3);

beforeAll(async () => {
  serving.write('notes/file.txt', 'a note');
  await initCheaply(serving.path('repo'), marker);
  await serving.ok('backup', 'notes');
  await serving.start();
  routes = await documentedRoutes(serving);
});

afterAll(() => serving.dispose());

const names = [
  'notes',
  'main',
  'notes@latest',
  'latest',
  '../../../etc/passwd',
  '/etc/shadow',
  '%00',
  's3:https://evil/x',
];
const texts = fc.oneof(
  fc.constantFrom(...names),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(
    "' or 1=1 --",
    '$\u007bjndi:ldap://x}',
    '__proto__',
    'constructor',
    '\u0000',
    '\ud800',
    'x'.repeat(5000),
  ),
);

/** What the schema allows, with values that lead somewhere. */
function valid(schema: JsonSchema): fc.Arbitrary<unknown> {
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map(valid));
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  switch (type) {
    case 'object':
      return validObject(schema);
    case 'array':
      return fc.array(valid(schema.items ?? {}), { minLength: schema.minItems ?? 0, maxLength: 3 });
    case 'integer':
      return fc.integer({ min: schema.minimum ?? -5, max: 5000 });
    case 'number':
      return fc.oneof(fc.integer({ min: schema.minimum ?? -5, max: 5000 }), fc.constantFrom(0.5, 1e15));
    case 'boolean':
      return fc.boolean();
    default:
      return texts;
  }
}

function validObject({ properties = {}, required = [] }: JsonSchema): fc.Arbitrary<unknown> {
  const members = Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, valid(schema)]));
  return fc.record(members, { requiredKeys: [...required] });
}

/** What it does not: wrong types, deep and odd JSON. */
const wild = fc.oneof(
  fc.json({ maxDepth: 6 }),
  fc.constantFrom('', '{', '[]', 'null', '"x"', '{"__proto__":{"a":1}}', '1e999'),
);

interface Attack {
  readonly path: string;
  readonly body?: string;
}

function attacks(route: DocumentedRoute): fc.Arbitrary<Attack> {
  const inPath = route.parameters.filter((one) => one.in === 'path');
  const query = route.parameters.filter((one) => one.in === 'query');
  const path = fc.tuple(...inPath.map((one) => valid(one.schema)));
  const asked = fc.record(Object.fromEntries(query.map((one) => [one.name, fc.oneof(valid(one.schema), texts)])), {
    requiredKeys: query.filter((one) => one.required).map((one) => one.name),
  });
  const body = route.body
    ? fc.oneof(
        valid(route.body).map((value) => JSON.stringify(value)),
        wild,
      )
    : fc.constant(undefined);
  return fc.tuple(path, asked, body).map(([values, given, text]) => {
    const filled = inPath.reduce((soFar, one, i) => soFar.replace(`{${one.name}}`, encoded(values[i])), route.path);
    const search = new URLSearchParams(
      Object.entries(given).flatMap(([name, value]) =>
        [value].flat().map((one): [string, string] => [name, wellFormed(one)]),
      ),
    );
    return { path: search.size > 0 ? `${filled}?${search}` : filled, ...(text === undefined ? {} : { body: text }) };
  });
}

const wellFormed = (value: unknown): string => String(value).toWellFormed();
/** A path of dots alone would be another path. */
const encoded = (value: unknown): string => encodeURIComponent(wellFormed(value)).replaceAll('.', '%2E') || 'x';

function judge(route: string, status: number, text: string): void {
  const shown = `${route}: ${status} ${text.slice(0, 500)}`;
  expect(status, shown).toBeLessThan(500);
  expect(text, shown).not.toContain(marker);
  expect(text, shown).not.toMatch(/\bat .*\.(ts|js):\d+|node_modules|SqliteError|ZodError|root:x:0/);
  if (status >= 400)
    expect(JSON.parse(text), shown).toMatchObject({ code: expect.any(String), remedy: expect.any(String) });
}

/** What takes a machine's time, and what is said with a browser, is asked less. */
const slow = new Set(['showCoverage', 'applyConfiguration']);

describe('every route', () => {
  it('answers whatever it is asked, without faults, traces or secrets', async () => {
    for (const route of routes) {
      if (route.streams || slow.has(route.id)) continue;
      const held = route.tag === 'sign' ? undefined : 'owner';
      await fc.assert(
        fc.asyncProperty(attacks(route), async ({ path, body }) => {
          const headers = { 'sec-fetch-site': 'same-origin' };
          const response = await serving.ask(path, { method: route.method, body, held, headers });
          judge(`${route.id} ${path} ${body}`, response.status, response.status === 302 ? '{}' : await response.text());
        }),
        { numRuns: rounds, endOnFailure: true },
      );
    }
    expect(serving.output).not.toContain('"level":50');
  }, 200_000);

  it('answers to signed-in people whatever they send about themselves', async () => {
    for (const route of routes.filter((one) => one.tag === 'sign' && one.permission === 'signed-in')) {
      await fc.assert(
        fc.asyncProperty(attacks(route), async ({ path, body }) => {
          const { session } = await serving.person(`owner:*`);
          const headers = { 'sec-fetch-site': 'same-origin', cookie: `holdfast-session=${session}` };
          const response = await serving.ask(path, { method: route.method, body, headers });
          judge(`${route.id} ${path} ${body}`, response.status, await response.text());
        }),
        { numRuns: rounds, endOnFailure: true },
      );
    }
  });
});

/** Bytes as they are, over a connection of their own. */
async function raw(request: string | Buffer): Promise<string> {
  const { hostname, port } = new URL(serving.url);
  const socket = connect(Number(port), hostname);
  socket.setTimeout(5000, () => socket.destroy());
  socket.end(request);
  let text = '';
  return await new Promise((resolve) => {
    socket.setEncoding('latin1').on('data', (part: string) => {
      text += part;
    });
    socket.on('close', () => resolve(text)).on('error', () => resolve(text));
  });
}

describe('a hostile client', () => {
  it('gets an error that says nothing, or nothing at all, and harms nobody', async () => {
    const { token } = await serving.person('owner');
    const line = `GET /api/sources HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n`;
    const cases: [string, string | Buffer][] = [
      ['no HTTP', 'hello\r\n\r\n'],
      ['binary', Buffer.from(Array.from({ length: 2000 }, (_, i) => (i * 7) % 256))],
      ['huge header', `${line}X-Much: ${'x'.repeat(100_000)}\r\n\r\n`],
      ['two lengths', `POST /api/pins HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello`],
      [
        'length and chunks',
        `POST /api/pins HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      ],
      ['hostile host', `${line.replace('Host: x', 'Host: <script>')}\r\n`],
      ['no host', `GET /api/sources HTTP/1.1\r\nConnection: close\r\n\r\n`],
      ['absolute target', `${line.replace('/api/sources', 'http://evil.example/api/sources')}\r\n`],
      ['odd target', `${line.replace('/api/sources', '//api//sources/../..')}\r\n`],
      ['odd escape', `${line.replace('/api/sources', '/api/sources/%zz%ff')}\r\n`],
      [
        'forwarded',
        `${line}X-Forwarded-For: 1.2.3.4, <x>\r\nX-Forwarded-Proto: gopher\r\nX-Forwarded-Host: evil\r\n\r\n`,
      ],
      ['cookies', `${line}Cookie: ${'a=b; '.repeat(500)}holdfast-session=x; holdfast-session=y\r\n\r\n`],
      ['trace', `TRACE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`],
      [
        'half a body',
        `POST /api/pins HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"snap`,
      ],
    ];
    for (const [name, request] of cases) {
      const text = await raw(request);
      expect(text, name).not.toMatch(/HTTP\/1\.1 5\d\d/);
      expect(text, name).not.toMatch(/\bat .*\.(ts|js):\d+|<script>|evil/);
    }
    expect((await serving.ask('/health')).status).toBe(200);
  });

  it('cannot send more than a mebibyte', async () => {
    const body = JSON.stringify({ snapshots: ['x'.repeat(3 << 20)] });
    const response = await serving.ask('/api/pins', { method: 'POST', body, held: 'owner' }).catch(() => undefined);
    expect(response === undefined || response.status === 413).toBe(true);
    let sent = 0;
    const chunks = new ReadableStream<Uint8Array>({
      // Each in a turn of its own: a stream that is always ready keeps its own sender from ever hearing of the answer.
      pull: async (controller) => {
        await new Promise((resolve) => setImmediate(resolve));
        if (++sent > 2000) controller.close();
        else controller.enqueue(new Uint8Array(65_536).fill(32));
      },
    });
    const headers = { 'content-type': 'application/json' };
    const options = { method: 'POST', body: chunks, duplex: 'half', held: 'owner', headers } as RequestInit;
    const endless = await serving.ask('/api/pins', options).catch(() => undefined);
    expect(endless === undefined || endless.status === 413).toBe(true);
    expect((await serving.ask('/health')).status).toBe(200);
  });

  it('who guesses passwords is stopped, also from behind headers that claim many addresses', async () => {
    const statuses: number[] = [];
    for (let i = 0; i < 15; i++) {
      const body = JSON.stringify({ name: 'somebody', password: `guess ${i}` });
      const headers = { 'sec-fetch-site': 'same-origin', 'x-forwarded-for': `9.9.9.${i}` };
      statuses.push((await serving.ask('/api/sign-in/password', { method: 'POST', body, headers })).status);
    }
    expect(statuses.at(-1)).toBe(429);
    expect(statuses.slice(0, 3)).toEqual(expect.arrayContaining([expect.any(Number)]));
  });
});
