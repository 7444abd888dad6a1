/** `HOST:PORT`, as --listen takes it. */
import type { AddressInfo } from 'node:net';
import { HoldfastError } from '../base/errors.ts';
import type { ListenAddress } from '../config/index.ts';

/** `127.0.0.1:8321`, `[::1]:8321`, `:8321` (every address), `8321` (this machine only). `usage.invalid`. */
export function parseListenAddress(text: string): ListenAddress {
  const match = /^(?:\[([0-9a-f:.]+)\]:|([^:[\]/]*):)?(\d{1,5})$/i.exec(text);
  const port = Number(match?.[3]);
  if (match && port <= 65_535) {
    const host = match[1] ?? match[2];
    return { host: host === undefined ? '127.0.0.1' : host || '::', port };
  }
  throw new HoldfastError({
    code: 'usage.invalid',
    message: `«${text}» is no address to listen on`,
    remedy: 'Write it like 127.0.0.1:8321, [::1]:8321 or :8321.',
  });
}

/** `HOST:PORT` under which this machine reaches what it listens on: nobody can connect to «every address». */
export function reachableAt({ address, family, port }: AddressInfo): string {
  if (address === '0.0.0.0' || address === '::') return `localhost:${port}`;
  return `${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}
