/** Listens for the API, over TLS if there is a certificate; a renewed one is taken up while the server runs. */
import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import { createServer as createPlain, type Server } from 'node:http';
import { createServer as createSecure } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import type { App } from '../api/app.ts';
import type { Clock } from '../base/clock.ts';
import { HoldfastError, hasCode, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { ReadSecret } from '../base/secret-reference.ts';
import type { ServerConfig } from '../config/index.ts';
import { reachableAt } from './listen-address.ts';

export interface Listening extends AsyncDisposable {
  /** Where it is reached on this machine, like `http://127.0.0.1:8321`; `localhost` if it listens on every address. */
  readonly url: string;
  /** Takes no more requests; resolves when those under way were answered, or after `graceMs` with them cut off. */
  close(graceMs: number): Promise<void>;
}

interface Listener {
  readonly app: App;
  readonly settings: Pick<ServerConfig, 'listen' | 'tls'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly secret: ReadSecret;
}

/** Longer than proxies keep connections open, so that it is not us who close one that a request is being sent on. */
const keepAliveMs = 75_000;
const headersMs = 20_000;
/** For a whole request, headers and body. */
const requestMs = 60_000;
const mostConnections = 2000;
const certificateEveryMs = 60_000;

export async function listen(listener: Listener): Promise<Listening> {
  const { settings, log } = listener;
  const answer = getRequestListener(
    async (request, { incoming }) => {
      const socket = incoming.socket as Socket & { readonly encrypted?: boolean };
      return await listener.app.fetch(request, {
        peer: socket.remoteAddress ?? '',
        secure: socket.encrypted === true,
      });
    },
    { overrideGlobalObjects: false },
  );
  const stop = new AbortController();
  const limits = {
    keepAliveTimeout: keepAliveMs,
    headersTimeout: headersMs,
    requestTimeout: requestMs,
    maxHeaderSize: 16_384,
  };
  const certificate = settings.tls && (await readCertificate(listener));
  const server = certificate
    ? createSecure(
        { ...limits, ...certificate, minVersion: 'TLSv1.2' },
        (request, response) => void answer(request, response),
      )
    : createPlain(limits, (request, response) => void answer(request, response));
  server.maxConnections = mostConnections;
  await bind(server, settings.listen);
  server.on('error', (error) => log.error({ err: error.message }, 'the HTTP server reported an error'));
  const renewing = 'setSecureContext' in server ? renew(server, listener, stop.signal) : Promise.resolve();
  const bound = server.address() as AddressInfo;
  const close = async (graceMs: number): Promise<void> => {
    stop.abort();
    await closeServer(server, graceMs, listener.clock);
    await renewing;
  };
  const url = `${certificate ? 'https' : 'http'}://${reachableAt(bound)}`;
  return { url, close, [Symbol.asyncDispose]: () => close(0) };
}

async function bind(server: Server, { host, port }: ServerConfig['listen']): Promise<void> {
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (cause) {
    throw new HoldfastError({
      code: 'config.invalid',
      message: `the server cannot listen on ${host}:${port}: ${messageOf(cause)}`,
      remedy: 'Is another server running? Choose another address with server: listen, or --listen.',
      cause,
    });
  }
}

const idleEveryMs = 50;

async function closeServer(server: Server, graceMs: number, clock: Clock): Promise<void> {
  if (!server.listening) return;
  const closed = new AbortController();
  server.close(() => closed.abort());
  const endMs = clock.monotonicMs() + graceMs;
  // Connections become idle one after another, and would be kept for the next request that never comes.
  while (!closed.signal.aborted && clock.monotonicMs() < endMs) {
    server.closeIdleConnections();
    await clock.sleep(idleEveryMs, { signal: closed.signal }).catch(() => undefined);
  }
  server.closeAllConnections();
}

interface Certificate {
  readonly cert: Buffer;
  readonly key: string;
}

async function readCertificate({ settings, secret }: Listener): Promise<Certificate> {
  const { certificate, key } = settings.tls!;
  try {
    return { cert: await readFile(certificate), key: (await secret(key, 'server: tls: key')).reveal() };
  } catch (cause) {
    if (cause instanceof HoldfastError) throw cause;
    throw new HoldfastError({
      code: 'config.invalid',
      message: `the certificate ${certificate} cannot be read: ${messageOf(cause)}`,
      remedy: 'Check server: tls: certificate.',
      cause,
    });
  }
}

/** Looks now and then whether the file changed. One that cannot be used leaves the one before in use. */
async function renew(
  server: Server & { setSecureContext(options: object): void },
  listener: Listener,
  signal: AbortSignal,
): Promise<void> {
  const { clock, log, settings } = listener;
  const changedAt = async (): Promise<number> => (await stat(settings.tls!.certificate)).mtimeMs;
  let known = await changedAt();
  while (!signal.aborted) {
    try {
      await clock.sleep(certificateEveryMs, { signal, background: true });
      const now = await changedAt();
      if (now === known) continue;
      server.setSecureContext({ ...(await readCertificate(listener)), minVersion: 'TLSv1.2' });
      known = now;
      log.info({ certificate: settings.tls!.certificate }, 'the renewed certificate is in use');
    } catch (error) {
      if (hasCode(error, 'cancelled')) return;
      log.error({ err: messageOf(error) }, 'the renewed certificate cannot be used; the one before stays in use');
    }
  }
}
