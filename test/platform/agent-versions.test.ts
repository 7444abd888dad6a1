/** Servers and agents of different versions, as they would speak: fixtures of older and newer ones against this one. */
import { createServer } from 'node:https';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { openSocket } from '../../src/agent/connect.ts';
import { readIdentity, writeIdentity } from '../../src/agent/identity.ts';
import { runAgent } from '../../src/agent/run-agent.ts';
import { openAuthority } from '../../src/auth/agents/authority.ts';
import { systemClock } from '../../src/base/clock.ts';
import { issueServerCertificate } from '../../src/protocols/agent/certificates.ts';
import { AgentWorld, parts, quick, until } from './agent-world.ts';

let world: AgentWorld;

beforeAll(async () => {
  world = await AgentWorld.open('  data: { driver: files, host: far, paths: [$FOLDER/data], policy: usual }');
  await world.join();
});

afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

type Message = Record<string, unknown> & { readonly kind: string };

/** An agent that says what it is told to, over a true connection. */
async function fixtureAgent(
  hello: object,
): Promise<{ heard: Message[]; say: (message: object) => void; close: () => void }> {
  const socket = await openSocket(await readIdentity(world.path('agent')));
  const heard: Message[] = [];
  socket.on('message', (bytes) => heard.push(JSON.parse(String(bytes)) as Message));
  const say = (message: object): void => socket.send(JSON.stringify(message));
  say({ kind: 'hello', hostname: 'far', instance: 'i', ...hello });
  const beat = setInterval(() => socket.readyState === socket.OPEN && say({ kind: 'heartbeat' }), 200);
  socket.on('close', () => clearInterval(beat));
  return { heard, say, close: () => socket.terminate() };
}

const fixtures = {
  older: { hello: { protocol: { major: 1, minor: 0 }, version: '0.1.0' }, more: {} },
  newer: {
    hello: { protocol: { major: 1, minor: 9 }, version: '4.2.0', features: ['renew', 'mirror'], runs: [], cpus: 64 },
    more: { since: 'version 4', shape: { of: ['things'] } },
  },
};

test.for(Object.entries(fixtures))(
  'an agent whose minor version is %s performs runs of this server',
  async ([, { hello, more }]) => {
    const agent = await fixtureAgent(hello);
    await world.connected();
    agent.say({ kind: 'weather', sunny: true });
    const id = await world.request('backup', 'data');
    await until('it is sent the run', () => agent.heard.some((one) => one.kind === 'perform'));
    const { runId, fence, operation } = agent.heard.find((one) => one.kind === 'perform')!;
    expect([runId, operation]).toEqual([id, 'backup']);
    agent.say({ kind: 'accepted', runId, fence, ...more });
    agent.say({
      kind: 'events',
      runId,
      fence,
      from: 1,
      events: [
        { type: 'mood', good: true },
        { type: 'note', message: 'hello' },
      ],
    });
    await until('it was heard', () => agent.heard.some((one) => one.kind === 'ack' && one.upTo === 2));
    const output = { ok: true, result: {}, bytes: 5, ...more };
    const outcome = { ok: true, output, ...more };
    agent.say({ kind: 'result', runId, fence, operation, outcome, startedAtMs: 1, endedAtMs: 2, ...more });
    expect(await world.ended(id)).toMatchObject({ state: 'succeeded', bytes: 5 });
    await until('it was settled', () => agent.heard.some((one) => one.kind === 'settled'));
    agent.close();
    await until('it is gone', () => !world.gate.connected.includes('far'));
  },
);

test('an agent of another major version is told what to do', async () => {
  const agent = await fixtureAgent({ protocol: { major: 2, minor: 0 }, version: '9.0.0' });
  await until('it is told', () => agent.heard.some((one) => one.kind === 'goodbye'));
  expect(agent.heard.at(-1)).toMatchObject({ error: { remedy: 'Bring the agent to the version of the server.' } });
  expect(world.gate.connected).toEqual([]);
  agent.close();
});

test('an agent that says what means nothing is hung up on, and the server goes on', async () => {
  const agent = await fixtureAgent({ protocol: { major: 1, minor: 0 }, version: '0.1.0' });
  await world.connected();
  agent.say({ kind: 'events', runId: 7 });
  await until('it is gone', () => !world.gate.connected.includes('far'));
  agent.close();
});

test('this agent works for a newer server, and says what it does not know', async () => {
  const place = { directory: world.path('server'), nowMs: Date.now(), mayMake: async () => false };
  const authority = await openAuthority(place);
  const { key, certificate } = await issueServerCertificate(authority, ['127.0.0.1'], Date.now());
  const listener = createServer({
    key,
    cert: certificate,
    ca: authority.certificate,
    requestCert: true,
    rejectUnauthorized: false,
  });
  const sockets = new WebSocketServer({ server: listener });
  const heard: Message[] = [];
  sockets.on('connection', (socket) => {
    const say = (message: object): void => socket.send(JSON.stringify(message));
    socket.on('message', (bytes) => {
      const message = JSON.parse(String(bytes)) as Message;
      heard.push(message);
      const { runId, fence } = message;
      if (message.kind === 'result') say({ kind: 'settled', runId, fence, thanks: true });
    });
    say({
      kind: 'hello',
      protocol: { major: 1, minor: 9 },
      version: '4.2.0',
      features: ['x'],
      server: 's',
      region: 'north',
    });
    const beat = setInterval(() => socket.readyState === socket.OPEN && say({ kind: 'ping', sentAtMs: 1 }), 200);
    socket.on('close', () => clearInterval(beat));
    say({ kind: 'rearrange', furniture: true });
    const rest = { fence: 1, input: {}, configuration: '{}', secrets: {}, priority: 5 };
    say({ kind: 'perform', runId: 'a', operation: 'mirror', ...rest });
    say({ kind: 'perform', runId: 'b', operation: 'backup', source: 'data', ...rest });
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const own = await readIdentity(world.path('agent'));
  const { port } = listener.address() as { port: number };
  await writeIdentity(world.path('newer'), { ...own, address: `127.0.0.1:${port}` });
  const stop = new AbortController();
  const options = {
    parts,
    stateDirectory: world.path('newer'),
    env: {},
    clock: systemClock,
    log: world.log,
    timing: quick.link,
  };
  const running = runAgent({ ...options, signal: stop.signal });
  await until('it answered both', () => heard.some((one) => one.kind === 'result'));
  expect(heard.find((one) => one.kind === 'refused')).toMatchObject({ runId: 'a', error: { code: 'usage.invalid' } });
  expect(heard.find((one) => one.kind === 'accepted')).toMatchObject({ runId: 'b' });
  expect(
    heard.find((one) => one.kind === 'result'),
    'nothing that breaks',
  ).toMatchObject({
    outcome: { ok: false, error: { code: 'usage.invalid' } },
  });
  stop.abort();
  await running;
  for (const socket of sockets.clients) socket.terminate();
  listener.close();
});
