/** A Unix socket on this machine that leads to an address as a host sees it: for clients that open their connections themselves. */
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { Address, Host } from './host.ts';

export interface Tunnel extends AsyncDisposable {
  readonly socketPath: string;
  /** Private to this user; holds the socket and nothing else. */
  readonly directory: string;
}

/** Every connection to the socket gets one of its own through the host; if that fails, it is closed. Disposing cuts them all. */
export async function openTunnel(
  host: Host,
  address: Address,
  { socketName, signal }: { socketName: string; signal?: AbortSignal },
): Promise<Tunnel> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-'));
  const streams = new Set<Duplex>();
  const server = createServer(
    { allowHalfOpen: true },
    (near) => void joinStreams(host, address, near, { streams, signal }),
  );
  try {
    await chmod(directory, 0o700);
    const socketPath = join(directory, socketName);
    server.listen(socketPath);
    await once(server, 'listening');
    return { socketPath, directory, [Symbol.asyncDispose]: () => close(server, streams, directory) };
  } catch (error) {
    await close(server, streams, directory);
    throw error;
  }
}

async function joinStreams(
  host: Host,
  address: Address,
  near: Socket,
  { streams, signal }: { streams: Set<Duplex>; signal?: AbortSignal },
): Promise<void> {
  near.on('error', () => near.destroy());
  keep(streams, near);
  // Who connected sees that the connection closes; the reason is the host's to tell to who asks it directly.
  const far = await host.connect(address, signal).catch(() => undefined);
  if (!far || near.destroyed) {
    near.destroy();
    far?.destroy();
    return;
  }
  keep(streams, far);
  far.on('error', () => far.destroy());
  near.on('close', () => far.destroy());
  far.on('close', () => near.destroy());
  near.pipe(far);
  far.pipe(near);
}

function keep(streams: Set<Duplex>, stream: Duplex): void {
  streams.add(stream);
  stream.once('close', () => streams.delete(stream));
}

async function close(server: Server, streams: ReadonlySet<Duplex>, directory: string): Promise<void> {
  for (const stream of streams) stream.destroy();
  if (server.listening) {
    server.close();
    await once(server, 'close');
  }
  await rm(directory, { recursive: true, force: true });
}
