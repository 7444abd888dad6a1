/** A port of the loopback interface that leads to an address as a host sees it, and lets in nobody but this user. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { HoldfastError } from '../../base/errors.ts';
import type { Address, Host } from '../../hosts/host.ts';

export interface GuardedPort extends AsyncDisposable {
  readonly port: number;
}

export async function openGuardedPort(host: Host, address: Address, signal: AbortSignal): Promise<GuardedPort> {
  const streams = new Set<Duplex>();
  const keep = (stream: Duplex): void => {
    streams.add(stream);
    stream.on('error', () => stream.destroy());
    stream.once('close', () => streams.delete(stream));
  };
  const join = async (near: Socket): Promise<void> => {
    keep(near);
    try {
      if (!(await isOurs(near))) return void near.destroy();
      const far = await host.connect(address, signal);
      keep(far);
      near.on('close', () => far.destroy());
      far.on('close', () => near.destroy());
      if (near.destroyed) far.destroy();
      near.pipe(far).pipe(near);
    } catch {
      // Who connected sees that the connection closes.
      near.destroy();
    }
  };
  const server = createServer({ allowHalfOpen: true }, (near) => void join(near));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address();
  if (bound === null || typeof bound === 'string')
    throw new HoldfastError({ code: 'internal', message: 'no port was bound', remedy: 'Report it.' });
  return {
    port: bound.port,
    async [Symbol.asyncDispose]() {
      for (const stream of streams) stream.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** proc(5), /proc/net/tcp: local address, remote address, …, uid of the socket's owner in the eighth column. */
async function isOurs(near: Socket): Promise<boolean> {
  const hex = (port: number | undefined): string =>
    `0100007F:${(port ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
  const table = await readFile('/proc/net/tcp', 'utf8');
  const row = table
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .find(([, local, remote]) => local === hex(near.remotePort) && remote === hex(near.localPort));
  return row !== undefined && Number(row[7]) === process.getuid?.();
}
