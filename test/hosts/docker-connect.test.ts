import { createHash } from 'node:crypto';
import { Duplex } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { HoldfastError } from '../../src/base/errors.ts';
import { connectionCases } from '../../src/hosts/conformance/connections.ts';
import { docker } from '../../src/hosts/docker/index.ts';
import type { Host } from '../../src/hosts/host.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import { type Podman, startPodman } from '../servers/podman.ts';

/** Answers in capitals until the other side is done, then says how much it was, and leaves. On a loopback port, on a port of every address, on a Unix socket. */
const echoServer = `import socket, threading, time
def serve(c):
    n = 0
    while True:
        d = c.recv(65536)
        if not d: break
        n += len(d)
        c.sendall(d.upper())
    c.sendall(b'<%d>' % n)
    c.close()
def echo(c):
    while True:
        d = c.recv(65536)
        if not d: break
        c.sendall(d)
    c.close()
def listen(s, at, serve=serve):
    s.bind(at)
    s.listen(50)
    def accept():
        while True:
            threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
listen(socket.socket(), ('127.0.0.1', 7000))
listen(socket.socket(), ('0.0.0.0', 7001))
listen(socket.socket(socket.AF_UNIX), '/tmp/echo.sock')
listen(socket.socket(), ('127.0.0.1', 7002), echo)
listen(socket.socket(socket.AF_UNIX), '/tmp/plain.sock', echo)
open('/tmp/ready', 'w').close()
while True: time.sleep(1000)
`;
/** Kills every perl in the container; one may end by itself meanwhile. */
const killRelays = `import os, signal
for pid in filter(str.isdigit, os.listdir('/proc')):
    try:
        if open(f'/proc/{pid}/comm').read().strip() == 'perl': os.kill(int(pid), signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError): pass
`;
const loopback = { host: 'localhost', port: 7000 };
const unix = { socketPath: '/tmp/echo.sock' };
/** A socket behind a link that leads elsewhere on the machine of the engine. */
const linkedUnix = { socketPath: '/srv/link/echo.sock' };

let podman: Podman;
let image: string;
const opened: Host[] = [];

/** A container with the server in it. With `tools`, programs find these and no others. */
async function startContainer(name: string, network: string, tools?: readonly string[]): Promise<void> {
  const path = tools ? ['--env', 'PATH=/only'] : [];
  const start = ['run', '--detach', '--name', name, '--network', network, ...path, image];
  await podman.command(...start, '/usr/bin/python3', '-c', echoServer);
  const links = (tools ?? []).map((tool) => `ln -s "$(command -v ${tool} || echo /usr/bin/busybox)" /only/${tool}`);
  const script = [
    'export PATH=/usr/bin; mkdir /only; ln -s /tmp /srv/link',
    ...links,
    'until [ -e /tmp/ready ]; do sleep 0.05; done',
  ];
  await podman.command('exec', name, '/bin/sh', '-c', script.join('; '));
}

async function openHost(container: string, more: { on?: string } = {}, through: Host = localHost()): Promise<Host> {
  const host = await docker.open(
    container,
    { docker: container, socket: podman.socketPath, ...more },
    {
      clock: systemClock,
      secret: async () => {
        throw new Error('no secret is needed');
      },
      local: localHost(),
      through: async () => through,
      signal: new AbortController().signal,
    },
  );
  opened.push(host);
  return host;
}

beforeAll(async () => {
  podman = await startPodman({ hostPrograms: true });
  image = await podman.importHostImage();
}, 120_000);

afterAll(async () => {
  for (const host of opened) await host.close();
  await podman?.[Symbol.asyncDispose]();
});

/** What comes back when that was sent and no more will be. */
async function exchange(stream: Duplex, sent: string): Promise<string> {
  stream.end(sent);
  return await text(stream);
}

async function text(stream: Duplex): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

describe('a stream to what listens in a container without network', () => {
  // python3, perl: both ends of a direction are passed on; nc: of busybox, which knows no Unix sockets; bash: no half-close
  test.each(['python3', 'perl', 'socat', 'nc', 'bash'])('goes through %s where the image has it', async (tool) => {
    await startContainer(`only-${tool}`, 'none', ['sh', 'cat', tool]);
    const host = await openHost(`only-${tool}`);
    const stream = await host.connect(loopback);
    stream.write('some words');
    const [first] = (await new Promise((resolve) => stream.once('data', (chunk) => resolve([chunk])))) as [Buffer];
    expect(first.toString()).toBe('SOME WORDS');
    if (tool === 'bash') stream.destroy();
    else expect(await exchange(stream, ' and more')).toBe(' AND MORE<19>');
    // the nc of busybox has no -U: then the way leads through /proc, where the container's links are not the machine's
    for (const address of [unix, linkedUnix]) {
      expect(await exchange(await host.connect(address), 'x')).toBe('X<1>');
    }
    // nc and socat say nothing when they are connected: that nobody listens may only be found out by reading
    const unheard = host.connect({ host: 'localhost', port: 7009 }).then(text);
    await expect(unheard).rejects.toMatchObject({ code: 'host.unreachable', message: expect.stringContaining(tool) });
  });

  // twenty programs at once take their time to start: with one tool only
  const kept = ['python3', 'perl'].flatMap((tool) =>
    connectionCases.filter((one) => one.id !== 'connect-at-once' || tool === 'perl').map((one) => ({ ...one, tool })),
  );
  test.each(kept)('$tool: $why', async ({ tool, run }) => {
    const echo = [{ host: 'localhost', port: 7002 }, { socketPath: '/tmp/plain.sock' }];
    const nobody = [{ host: 'localhost', port: 7009 }, { socketPath: '/tmp/nobody.sock' }];
    await run({ host: await openHost(`only-${tool}`), echo, nobody });
  });

  test('says what was looked for where nothing is there to carry it', async () => {
    await startContainer('nothing', 'none', ['sh']);
    const host = await openHost('nothing');
    await expect(host.connect(loopback)).rejects.toMatchObject({
      code: 'host.unreachable',
      message: expect.stringMatching(/python3, perl, socat, nc, bash/),
    });
  });

  test('carries a lot both ways at once, unchanged, also where the engine is reached through another host', async () => {
    const host = await openHost('only-python3', { on: 'elsewhere' }, elsewhere());
    const stream = await host.connect(loopback);
    const block = Buffer.alloc(1 << 18, 'X');
    const blocks = 40;
    const received = createHash('sha256');
    const reading = (async () => {
      for await (const chunk of stream) received.update(chunk as Buffer);
    })();
    const wanted = createHash('sha256');
    for (let at = 0; at < blocks; at++) {
      wanted.update(block);
      await new Promise((resolve) => stream.write(block, resolve));
    }
    wanted.update(`<${blocks * block.length}>`);
    stream.end();
    await reading;
    expect(received.digest('hex')).toBe(wanted.digest('hex'));
  });

  test('ends where it is no longer wanted, and fails where the program that carries it is killed', async () => {
    const host = await openHost('only-perl');
    const unwanted = await host.connect(loopback);
    unwanted.destroy();
    await new Promise((resolve) => unwanted.once('close', resolve));
    const stream = await host.connect(loopback);
    const failure = expect(text(stream)).rejects.toMatchObject({ code: 'host.unreachable' });
    await podman.command('exec', 'only-perl', '/usr/bin/python3', '-c', killRelays);
    await failure;
  });

  test('ends where the container is stopped, as a connection to a server does that is gone', async () => {
    const host = await openHost('only-perl');
    const stream = await host.connect(loopback);
    const ended = text(stream).catch((error: HoldfastError) => error.code);
    await podman.command('stop', '--time', '0', 'only-perl');
    // The server goes first: whether the relay still sees its end as an orderly one is a matter of luck.
    expect(['', 'host.unreachable']).toContain(await ended);
    await expect(host.connect(loopback)).rejects.toMatchObject({ code: 'host.unreachable' });
    await expect(host.run({ argv: ['cat'] })).rejects.toMatchObject({ code: 'host.unreachable' });
  });
});

test('a container on a network of this machine is reached at its address, and what only listens on its loopback through it', async () => {
  await startContainer('bridged', await podman.makeNetwork(), ['sh', 'perl']);
  const host = await openHost('bridged');
  expect(await exchange(await host.connect({ host: 'bridged', port: 7001 }), 'x')).toBe('X<1>');
  expect(await exchange(await host.connect(loopback), 'x')).toBe('X<1>');
  await podman.command('exec', 'bridged', '/bin/rm', '/only/perl');
  const bare = await openHost('bridged');
  expect(await exchange(await bare.connect({ host: '127.0.0.1', port: 7001 }), 'x')).toBe('X<1>');
  await expect(bare.connect(loopback)).rejects.toMatchObject({
    message: expect.stringMatching(/directly to 10\..*refused/i),
  });
});

/** This machine as another host: its streams are not sockets, as those of a host far away are not. */
function elsewhere(): Host {
  const local = localHost();
  return {
    ...local,
    name: 'elsewhere',
    connect: async (address, signal) => {
      const socket = await local.connect(address, signal);
      const stream: Duplex = new Duplex({
        read: () => void socket.resume(),
        write: (chunk, _encoding, done) => void socket.write(chunk, done),
        final: (done) => void socket.end(done),
        destroy: (error, done) => {
          socket.destroy();
          done(error);
        },
      });
      socket.on('data', (chunk) => stream.push(chunk) || socket.pause());
      socket.once('end', () => stream.push(null));
      socket.once('error', (error) => stream.destroy(error));
      return stream;
    },
  };
}
