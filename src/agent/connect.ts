/** Connections to the server: TLS 1.3 that trusts one authority and the name in the address, and nobody else. */
import type { IncomingMessage } from 'node:http';
import { type RequestOptions, request } from 'node:https';
import { connect, type DetailedPeerCertificate } from 'node:tls';
import WebSocket from 'ws';
import type { z } from 'zod';
import { HoldfastError, messageOf, systemCode } from '../base/errors.ts';
import { fingerprintOf } from '../protocols/agent/certificates.ts';
import { splitAddress } from '../protocols/agent/enrolment-token.ts';
import type { Identity } from './identity.ts';
import { enrolAnswer, enrolRefusal, type enrolRequest, mostMessageBytes } from './protocol.ts';

const connectMs = 20_000;
const mostAnswerBytes = 64 << 10;

/**
 * The authority's certificate, as the server shows it, if it is the one the fingerprint names. Nothing is sent to a server
 * that is not known yet. `agent.refused` if it is another one; `host.unreachable`.
 */
export async function fetchAuthority(address: string, fingerprint: string): Promise<string> {
  const chain = await shownChain(address);
  const found = chain.find((raw) => fingerprintOf(raw) === fingerprint);
  if (found) return `-----BEGIN CERTIFICATE-----\n${found.toString('base64')}\n-----END CERTIFICATE-----\n`;
  throw new HoldfastError({
    code: 'agent.refused',
    message: `what answers at ${address} is not the server that made the token`,
    remedy: 'Somebody may be in between. Check the address, and that the token is of this server; nothing was sent.',
  });
}

async function shownChain(address: string): Promise<Buffer[]> {
  const { host, port } = splitAddress(address);
  return await new Promise((resolve, reject) => {
    const socket = connect({ host, port, minVersion: 'TLSv1.3', rejectUnauthorized: false }, () => {
      const chain: Buffer[] = [];
      let one: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
      while (one?.raw && !chain.some((known) => known.equals(one!.raw))) {
        chain.push(one.raw);
        one = one.issuerCertificate;
      }
      socket.destroy();
      resolve(chain);
    });
    socket.setTimeout(connectMs, () => socket.destroy(new Error('no answer in time')));
    socket.on('error', (error) => reject(unreachable(address, error)));
  });
}

/** Hands the request for a certificate in. `agent.refused` with the server's reason. */
export async function enrol(
  address: string,
  authority: string,
  asked: z.input<typeof enrolRequest>,
): Promise<z.infer<typeof enrolAnswer>> {
  const { status, text } = await post(address, authority, JSON.stringify(asked));
  const answer = parsed(text);
  if (status === 200) return enrolAnswer.parse(answer);
  const { error } = enrolRefusal.catch({ error: strangeAnswer(address) }).parse(answer);
  throw new HoldfastError({ code: 'agent.refused', message: error.message, remedy: error.remedy });
}

function strangeAnswer(address: string): { code: string; message: string; remedy: string } {
  const remedy = 'Check that the address is that of the listener for agents (server: agents: in its configuration).';
  return { code: 'agent.refused', message: `${address} answers, but not as a server for agents`, remedy };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function post(address: string, authority: string, body: string): Promise<{ status: number; text: string }> {
  const { host, port } = splitAddress(address);
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const options: RequestOptions = {
    ...{ host, port, path: '/enrol', method: 'POST', headers, agent: false, timeout: connectMs },
    ...{ ca: authority, minVersion: 'TLSv1.3' },
  };
  return await new Promise((resolve, reject) => {
    const sent = request(options, (response) => {
      readText(response).then(
        (text) => resolve({ status: response.statusCode ?? 0, text }),
        (error: Error) => reject(unreachable(address, error)),
      );
    });
    sent.on('timeout', () => sent.destroy(new Error('no answer in time')));
    sent.on('error', (error) => reject(unreachable(address, error)));
    sent.end(body);
  });
}

/** Opens the connection that stays; the signal ends the opening. `agent.refused` where one does not trust the other; `host.unreachable`. */
export async function openSocket(
  { address, key, certificate, authority }: Identity,
  signal?: AbortSignal,
): Promise<WebSocket> {
  const socket = new WebSocket(`wss://${address}/agent`, {
    ...{ key, cert: certificate, ca: authority, minVersion: 'TLSv1.3' },
    ...{ maxPayload: mostMessageBytes, handshakeTimeout: connectMs, perMessageDeflate: false },
  });
  const giveUp = (): void => socket.terminate();
  signal?.addEventListener('abort', giveUp, { once: true });
  await new Promise<void>((resolve, reject) => {
    socket.once('open', () => resolve());
    socket.once('error', (error) => reject(unreachable(address, error)));
    socket.once('unexpected-response', (_request, response) => {
      const { statusCode = 0 } = response;
      readText(response).then(
        (text) => reject(refusalOf(address, statusCode, text)),
        (error: Error) => reject(unreachable(address, error)),
      );
    });
  }).finally(() => signal?.removeEventListener('abort', giveUp));
  return socket;
}

function refusalOf(address: string, status: number, text: string): HoldfastError {
  const { error } = enrolRefusal.catch({ error: strangeAnswer(address) }).parse(parsed(text));
  const isRefused = status === 403;
  return new HoldfastError({
    code: isRefused ? 'agent.refused' : 'host.unreachable',
    message: error.message,
    remedy: error.remedy,
    retry: isRefused ? 'never' : 'later',
  });
}

/** The whole of a short answer. */
async function readText(response: IncomingMessage): Promise<string> {
  let text = '';
  response.setEncoding('utf8');
  for await (const part of response) {
    text += part;
    if (text.length > mostAnswerBytes) throw new Error('an answer without end');
  }
  return text;
}

/** Codes of OpenSSL and Node for a certificate that is not what it should be. */
const distrust =
  /^(ERR_TLS_CERT_ALTNAME_INVALID|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|CERT_|INVALID_PURPOSE|ERR_SSL_TLSV1_ALERT_UNKNOWN_CA)/;

function unreachable(address: string, cause: Error): HoldfastError {
  const code = systemCode(cause) ?? '';
  if (distrust.test(code)) {
    return new HoldfastError({
      code: 'agent.refused',
      message: `what answers at ${address} cannot show that it is the server: ${messageOf(cause)}`,
      remedy: 'Check that the address is among «server: agents: names:» of the server, and that nobody is in between.',
      cause,
    });
  }
  return new HoldfastError({
    code: 'host.unreachable',
    message: `the server at ${address} cannot be reached: ${messageOf(cause) || code}`,
    remedy: 'Check that it runs, that the address is right, and that the port is open from here.',
    retry: 'later',
    cause,
  });
}
