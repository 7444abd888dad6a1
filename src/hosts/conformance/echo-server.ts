/** What the cases about connections need on the host's side, where that is this machine. */
import { createServer, type Server, type Socket } from 'node:net';
import type { Address } from '../host.ts';

export interface EchoServer extends AsyncDisposable {
  readonly echo: readonly Address[];
  readonly nobody: readonly Address[];
}

/** Listens on a free loopback port and at `<directory>/echo`. */
export async function startEchoServer(directory: string): Promise<EchoServer> {
  const sockets = new Set<Socket>();
  const answer = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {}); // the other side left
    socket.pipe(socket);
  };
  const servers = [createServer({ allowHalfOpen: true }, answer), createServer({ allowHalfOpen: true }, answer)];
  const socketPath = `${directory}/echo`;
  await listen(servers[0], { host: '127.0.0.1', port: 0 });
  await listen(servers[1], { path: socketPath });
  const port = portOf(servers[0]);
  const unused = createServer();
  await listen(unused, { host: '127.0.0.1', port: 0 });
  const nobody = portOf(unused);
  await close(unused);
  return {
    echo: [{ host: '127.0.0.1', port }, { socketPath }],
    nobody: [{ host: '127.0.0.1', port: nobody }, { socketPath: `${directory}/nobody` }],
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      for (const server of servers) await close(server);
    },
  };
}

async function listen(server: Server, where: { host: string; port: number } | { path: string }): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, resolve);
  });
}

async function close(server: Server): Promise<void> {
  await new Promise((resolve) => server.close(resolve));
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address ? address.port : 0;
}
