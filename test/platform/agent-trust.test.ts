/** Who is let in, and who is not: tokens, certificates, and those in between. */
import { readFileSync, statSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSocket } from '../../src/agent/connect.ts';
import { type Identity, readIdentity, writeIdentity } from '../../src/agent/identity.ts';
import { openAuthority } from '../../src/auth/agents/authority.ts';
import { revokeAgent } from '../../src/auth/agents/enrolment.ts';
import {
  type Credentials,
  certificateMs,
  fingerprintOf,
  issueAgentCertificate,
  issueServerCertificate,
  makeAuthority,
  makeRequest,
  newKey,
  validityOf,
} from '../../src/protocols/agent/certificates.ts';
import { AgentWorld, until } from './agent-world.ts';

let world: AgentWorld;

beforeAll(async () => {
  world = await AgentWorld.open('  data: { driver: files, host: far, paths: [$FOLDER/data], policy: usual }');
});

afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

const dayMs = 86_400_000;
const authority = (): Promise<Credentials> =>
  openAuthority({ directory: world.path('server'), nowMs: Date.now(), mayMake: async () => false });

/** What an agent knows, with a certificate as if it had been made at another time or by another authority. */
async function identityOf(
  state: string,
  { by, atMs = Date.now() }: { by?: Credentials; atMs?: number } = {},
): Promise<Identity> {
  const own = await readIdentity(world.path(state));
  const request = await makeRequest(own.key);
  const made = { request, name: own.name, nowMs: atMs };
  return { ...own, certificate: await issueAgentCertificate(by ?? (await authority()), made) };
}

async function portOf(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as { port: number }).port;
}

test('what joining leaves is for the agent’s user only, and a token is good once', async () => {
  const token = await world.token('one');
  await world.join('one', token);
  const file = world.path('one/agent/identity.json');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readFileSync(file, 'utf8')).not.toContain(token);
  await expect(world.join('two', token)).rejects.toMatchObject({
    code: 'agent.refused',
    message: 'the token was used before',
  });
  await expect(world.join('one', token), 'a machine that has joined').rejects.toThrow('an agent already');
});

test('a token that has ended, or is of another server, is refused', async () => {
  const late = await world.token('two');
  await world.catalogue.db
    .updateTable('enrolment')
    .set({ expiresAtMs: Date.now() })
    .where('agent', '=', 'two')
    .execute();
  await expect(world.join('two', late)).rejects.toThrow('older than an hour');
  const other = await world.token('two', { fingerprint: fingerprintOf((await makeAuthority(Date.now())).certificate) });
  await expect(world.join('two', other)).rejects.toMatchObject({
    code: 'agent.refused',
    remedy: expect.stringContaining('Somebody may be in between'),
  });
  await expect(readIdentity(world.path('two')), 'nothing is left of it').rejects.toMatchObject({
    code: 'agent.unknown',
  });
});

test('a man in the middle gets neither the token’s secret nor a connection', async () => {
  const strange = await makeAuthority(Date.now());
  const { key, certificate } = await issueServerCertificate(strange, ['127.0.0.1'], Date.now());
  let heard = '';
  const middle = createTlsServer({ key, cert: certificate + strange.certificate }, (socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      heard += bytes.toString('latin1');
    });
  });
  middle.on('tlsClientError', () => undefined);
  try {
    const port = await portOf(middle);
    await expect(world.join('two', await world.token('middle', { port }))).rejects.toThrow(
      'is not the server that made the token',
    );
    const own = await readIdentity(world.path('one'));
    await expect(openSocket({ ...own, address: `127.0.0.1:${port}` })).rejects.toMatchObject({ code: 'agent.refused' });
    expect(heard).toBe('');
  } finally {
    middle.close();
  }
});

test('a middle that only passes bytes on learns nothing, and the true server is reached', async () => {
  let heard = '';
  const middle = createServer((near) => {
    const far = connect(world.port, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      from.on('data', (bytes: Buffer) => {
        heard += bytes.toString('latin1');
      });
      from.pipe(to).on('error', () => from.destroy());
    }
  });
  try {
    const token = await world.token('through', { port: await portOf(middle) });
    await world.join('through', token);
    const { secret } = JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString('utf8')) as { secret: string };
    expect(heard.length).toBeGreaterThan(1000);
    expect(heard).not.toContain(secret);
  } finally {
    middle.close();
  }
});

test('a certificate of another authority, or none, is refused', async () => {
  const strange = await identityOf('one', { by: await makeAuthority(Date.now()) });
  await expect(openSocket(strange)).rejects.toMatchObject({
    code: 'agent.refused',
    message: expect.stringContaining('not one of this server'),
  });
  const unknown = { ...(await readIdentity(world.path('one'))), key: await newKey() };
  const request = await makeRequest(unknown.key);
  const own = await issueAgentCertificate(await authority(), { request, name: 'one', nowMs: Date.now() });
  await expect(openSocket({ ...unknown, certificate: own }), 'the right name and another key').rejects.toThrow(
    'does not know the key',
  );
});

test('a name that the server’s certificate does not hold is not trusted', async () => {
  const { key, certificate } = await issueServerCertificate(await authority(), ['elsewhere.example'], Date.now());
  const other = createTlsServer({ key, cert: certificate }, (socket) => socket.destroy());
  other.on('tlsClientError', () => undefined);
  try {
    const own = await readIdentity(world.path('one'));
    const address = `127.0.0.1:${await portOf(other)}`;
    await expect(openSocket({ ...own, address })).rejects.toMatchObject({
      code: 'agent.refused',
      remedy: expect.stringContaining('server: agents: names'),
    });
  } finally {
    other.close();
  }
});

test('who is revoked is hung up on, stays out with what it stole, and joins again with a new token', async () => {
  await world.join('gone', await world.token('gone'));
  const stolen = await readIdentity(world.path('gone'));
  world.startAgent('gone');
  await world.connected('gone');
  await revokeAgent(world.catalogue, 'gone');
  await until('the connection was closed', () => !world.gate.connected.includes('gone'));
  await expect(openSocket(stolen)).rejects.toMatchObject({
    code: 'agent.refused',
    message: 'the agent «gone» was revoked',
  });
  await world.stopAgent('gone');
  await world.join('again', await world.token('gone'));
  world.startAgent('again');
  await world.connected('gone');
  await expect(openSocket(stolen)).rejects.toThrow('does not know the key');
  await world.stopAgent('again');
});

test('a certificate renews itself in time, and after its end for a month; later the agent joins anew', async () => {
  const untilMs = async (): Promise<number> => validityOf((await readIdentity(world.path('one'))).certificate).untilMs;
  const isNew = async (): Promise<boolean> => (await untilMs()) > Date.now() + certificateMs - dayMs;
  for (const agedMs of [certificateMs * 0.7, certificateMs + 29 * dayMs]) {
    await writeIdentity(world.path('one'), await identityOf('one', { atMs: Date.now() - agedMs }));
    expect(await isNew()).toBe(false);
    world.startAgent('one');
    await until('it was renewed', isNew);
    await world.connected('one');
    await world.stopAgent('one');
  }
  const late = await identityOf('one', { atMs: Date.now() - certificateMs - 31 * dayMs });
  await expect(openSocket(late)).rejects.toMatchObject({
    code: 'agent.refused',
    message: expect.stringContaining('away for too long'),
    remedy: 'Enrol it anew: holdfast agent enrol --replace one',
  });
});

test('a late agent gets its certificate and nothing else before it comes back with it', async () => {
  const late = await identityOf('one', { atMs: Date.now() - certificateMs - dayMs });
  const socket = await openSocket(late);
  const heard: string[] = [];
  socket.on('message', (bytes) => heard.push((JSON.parse(String(bytes)) as { kind: string }).kind));
  const id = await world.request('backup', 'data');
  socket.send(
    JSON.stringify({
      kind: 'hello',
      protocol: { major: 1, minor: 0 },
      version: '0',
      hostname: 'h',
      instance: 'i',
      runs: [],
    }),
  );
  await until('it is asked to renew', () => heard.includes('renew'));
  await world.cancel(id);
  await world.ended(id);
  socket.terminate();
  expect(heard).not.toContain('perform');
});

test('what is no agent at all is answered, and does no harm', async () => {
  const { request } = await import('node:https');
  const own = await readIdentity(world.path('one'));
  const ask = (path: string, method: string, body = ''): Promise<{ status?: number; text: string }> =>
    new Promise((resolve, reject) => {
      const sent = request(
        { host: '127.0.0.1', port: world.port, path, method, ca: own.authority, agent: false },
        (response) => {
          let text = '';
          response.on('data', (part) => {
            text += part;
          });
          response.on('end', () => resolve({ status: response.statusCode, text }));
        },
      );
      sent.on('error', reject);
      sent.end(body);
    });
  expect((await ask('/', 'GET')).status).toBe(404);
  expect((await ask('/enrol', 'POST', 'no JSON')).status).toBe(400);
  expect((await ask('/enrol', 'POST', '{}')).status).toBe(400);
  const guessed = { secret: 'x'.repeat(43), request: 'r', version: '1', hostname: 'h' };
  expect(await ask('/enrol', 'POST', JSON.stringify(guessed))).toMatchObject({
    status: 403,
    text: expect.stringContaining('has not given out'),
  });
  const long = await ask('/enrol', 'POST', 'x'.repeat(100_000)).catch(() => ({ status: 403 }));
  expect(long.status).toBe(403);
});
