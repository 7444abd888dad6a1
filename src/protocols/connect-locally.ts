/** Byte streams to programs on this machine, or reachable from it. */
import { createConnection } from 'node:net';
import type { Duplex } from 'node:stream';
import { HoldfastError, reasonOf, systemCode } from '../base/errors.ts';

/** Where a program listens. `socketPath` is a Unix socket. */
export type Endpoint = { readonly host: string; readonly port: number } | { readonly socketPath: string };

/** How long a connection may be silent before the other machine is asked whether it is still there. The system's own default is two hours. */
const silenceMs = 60_000;

/** `host.unreachable`; `cancelled` if the signal was aborted first. Aborting later does not touch the stream. */
export async function connectLocally(address: Endpoint, signal?: AbortSignal): Promise<Duplex> {
  const where = 'socketPath' in address ? { path: address.socketPath } : address;
  const socket = createConnection({
    ...where,
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: silenceMs,
  });
  const abort = (): void => void socket.destroy(reasonOf(signal));
  signal?.addEventListener('abort', abort, { once: true });
  if (signal?.aborted) abort();
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return socket;
  } catch (cause) {
    socket.destroy();
    if (signal?.aborted) throw reasonOf(signal);
    throw unreachable(address, cause);
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

function unreachable(address: Endpoint, cause: unknown): HoldfastError {
  const name = 'socketPath' in address ? `the socket ${address.socketPath}` : `${address.host}:${address.port}`;
  const reasons: Record<string, string> = {
    ECONNREFUSED: 'nothing listens there',
    ENOENT: 'it does not exist',
    EACCES: 'this user may not use it',
    ENOTFOUND: 'there is no machine of that name',
    ETIMEDOUT: 'it does not answer',
  };
  const code = systemCode(cause) ?? '';
  return new HoldfastError({
    code: 'host.unreachable',
    message: `${name} cannot be reached: ${reasons[code] ?? (code || String(cause))}`,
    remedy: 'Check the address, that the server runs and listens there, and that no firewall is in between.',
    retry: 'later',
    cause,
  });
}
