/**
 * Ports for servers that cannot choose one themselves. Below the range the kernel gives out by itself, so that neither a
 * connection to somewhere nor a server on port 0 gets one between the look and the start, or while a server is started again;
 * and of one test process at a time, until that ends.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';

const range = '/proc/sys/net/ipv4/ip_local_port_range';
const ports = 10_000;

/** A port of 127.0.0.1 where nobody listens, and that no other test will be given while this process lives. */
export async function freePort(): Promise<number> {
  const end = Number.parseInt(readFileSync(range, 'utf8'), 10);
  // Where the kernel gives out nearly all of them, there is nothing below.
  const first = end > 2 * ports ? end - ports : 20_000;
  const start = Math.floor(Math.random() * ports);
  for (let tried = 0; tried < ports; tried++) {
    const port = first + ((start + tried) % ports);
    // A name without a file, which goes with its process.
    const reservation = await listening({ path: `\0holdfast-test-port-${port}` });
    if (reservation === undefined) continue;
    const listener = await listening({ host: '127.0.0.1', port });
    if (listener === undefined) reservation.close();
    else {
      reservation.unref();
      listener.close();
      await once(listener, 'close');
      return port;
    }
  }
  throw new Error(`no port is free of ${first} to ${first + ports}`);
}

/** `undefined` where that is taken. */
async function listening(at: { host: string; port: number } | { path: string }): Promise<Server | undefined> {
  const server = createServer().listen(at);
  try {
    await once(server, 'listening');
    return server;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return undefined;
    throw error;
  }
}
