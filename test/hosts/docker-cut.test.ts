/** What is lost on the way from a container must never look complete: engines that die, connections that are cut at any byte. */
import { randomInt } from 'node:crypto';
import { rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { docker } from '../../src/hosts/docker/index.ts';
import type { Host } from '../../src/hosts/host.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import { type Podman, startPodman } from '../servers/podman.ts';

/** How many places to cut at. */
const cuts = Number(process.env.CUTS ?? 8);
const lines = 20_000;
const wholeBytes = lines * 33;

let podman: Podman;
let direct: Host;
let cutter: Cutter;

/** Stands before the engine's socket. What it lets through of a program's output, it can end as an orderly server does, or break. */
class Cutter {
  readonly socketPath: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Bytes that still pass towards the client on the connections of programs. */
  allow = Number.POSITIVE_INFINITY;
  how: 'end' | 'break' = 'end';

  constructor(engine: string) {
    this.socketPath = `${engine}.cut`;
    this.#server = createServer({ allowHalfOpen: true }, (client) => {
      const upstream = connect({ path: engine, allowHalfOpen: true });
      for (const socket of [client, upstream]) this.#sockets.add(socket.on('error', () => {}));
      client.pipe(upstream);
      let isProgram = false;
      upstream.on('data', (chunk: Buffer) => {
        isProgram ||= chunk.includes(' 101 ');
        if (!isProgram) return void client.write(chunk);
        client.write(chunk.subarray(0, this.allow));
        this.allow -= chunk.length;
        if (this.allow > 0) return;
        if (this.how === 'end') client.end();
        else client.destroy();
        upstream.destroy();
      });
      upstream.once('end', () => client.end());
      upstream.once('close', () => client.end());
      client.once('close', () => upstream.destroy());
    });
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.socketPath, resolve));
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.socketPath, { force: true });
  }
}

async function openHost(socket: string): Promise<Host> {
  const tools = {
    clock: systemClock,
    secret: async () => {
      throw new Error('no secret is needed');
    },
    local: localHost(),
    through: async () => localHost(),
    signal: new AbortController().signal,
  };
  return await docker.open('box', { docker: 'box', socket }, tools);
}

beforeAll(async () => {
  podman = await startPodman();
  const image = await podman.importBusyboxImage();
  await podman.command('run', '--detach', '--name', 'box', '--network', 'none', image, 'sleep', '100000');
  cutter = new Cutter(podman.socketPath);
  await cutter.listen();
  direct = await openHost(podman.socketPath);
}, 120_000);

afterAll(async () => {
  await cutter?.close();
  await podman?.[Symbol.asyncDispose]();
});

/** A program that ends well whether or not anyone hears it. */
const printer = ['sh', '-c', `trap '' PIPE; dd if=/dev/zero bs=33 count=${lines} 2>/dev/null; exit 0`];

async function length(host: Host): Promise<number> {
  const program = await host.run({ argv: printer });
  await program.endInput();
  let total = 0;
  for await (const chunk of program.stdout) total += chunk.length;
  const { status } = await program.exit;
  if (status !== 0) throw new Error(`status ${status}`);
  return total;
}

test('what is not cut is complete', async () => {
  expect(await length(direct)).toBe(wholeBytes);
  const host = await openHost(cutter.socketPath);
  expect(await length(host)).toBe(wholeBytes);
  await host.close();
});

test.each(['end', 'break'] as const)(
  'a connection that is cut (%s) at any byte is an error, though the program ended well',
  async (how) => {
    const host = await openHost(cutter.socketPath);
    cutter.how = how;
    // the last places are within the end mark
    const places = [1, 40, 120, 200, wholeBytes, ...Array.from({ length: cuts }, () => randomInt(130, wholeBytes))];
    for (const place of places) {
      cutter.allow = place;
      const outcome = await length(host).then(
        (total) => `complete with ${total}`,
        (error: { code?: string }) => error.code,
      );
      expect(`${place}: ${outcome}`).toBe(`${place}: host.unreachable`);
    }
    cutter.allow = Number.POSITIVE_INFINITY;
    expect(await length(host)).toBe(wholeBytes);
    await host.close();
  },
);

test('an engine that dies while a program prints is an error, also when it is back before anyone asks how the program ended', async () => {
  const slow = `i=0; trap '' PIPE; while [ $i -lt 40 ]; do echo line; sleep 0.05; i=$((i+1)); done; exit 0`;
  const program = await direct.run({ argv: ['sh', '-c', slow] });
  await expect(
    (async () => {
      for await (const _ of program.stdout) await podman.killService();
    })(),
  ).rejects.toMatchObject({ code: 'host.unreachable' });
  await expect(program.exit).rejects.toMatchObject({ code: 'host.unreachable' });
  await expect(direct.run({ argv: ['true'] })).rejects.toMatchObject({ code: 'host.unreachable' });
  await podman.startService();
  expect(await length(direct)).toBe(wholeBytes);
});
