/**
 * Where agents knock: `POST /enrol` for those with a token, the WebSocket at `/agent` for those with a certificate, and
 * nothing else. TLS 1.3. A certificate counts only if the authority signed it and its key is one the catalogue knows and
 * nobody revoked; the dates are judged here, so that one that has ended a short while ago may be renewed.
 */
import { constants } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { type WebSocket, WebSocketServer } from 'ws';
import { enrolRequest, mostMessageBytes } from '../../agent/protocol.ts';
import { agentOfKey, agentOfSecret, redeemEnrolment } from '../../auth/agents/enrolment.ts';
import type { Clock } from '../../base/clock.ts';
import { HoldfastError, hasCode, messageOf } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import { describeError } from '../../operations/describe-error.ts';
import {
  type Credentials,
  isIssuedBy,
  issueAgentCertificate,
  issueServerCertificate,
  isToBeRenewed,
  keyHashOf,
  validityOf,
} from '../../protocols/agent/certificates.ts';

export interface ListenerOptions {
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  readonly log: Log;
  readonly authority: Credentials;
  readonly listen: { readonly host: string; readonly port: number };
  /** That agents connect to: names and addresses of the server. */
  readonly names: readonly string[];
  readonly connected: (agent: ConnectedAgent) => void;
}

export interface ConnectedAgent {
  readonly name: string;
  readonly socket: WebSocket;
  readonly certificate: Buffer;
  readonly keyHash: string;
  /** Its certificate has ended: it may renew it, and nothing else. */
  readonly isLate: boolean;
}

/** An agent that was away may renew with its old key for this long after its certificate has ended. */
export const renewalMs = 30 * 86_400_000;

const mostBodyBytes = 32 << 10;
const patienceMs = 20_000;
const lookMs = 3_600_000;

export class AgentListener implements AsyncDisposable {
  readonly #options: ListenerOptions;
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({ noServer: true, maxPayload: mostMessageBytes, perMessageDeflate: false });
  readonly #closing = new AbortController();
  #certificate: Credentials;

  private constructor(options: ListenerOptions, certificate: Credentials) {
    this.#options = options;
    this.#certificate = certificate;
    this.#server = createServer({ ...this.#contextOf(certificate), requestCert: true, rejectUnauthorized: false });
    this.#server.headersTimeout = patienceMs;
    this.#server.requestTimeout = patienceMs;
    this.#server.maxConnections = 2000;
    this.#server.on('request', (request, response) => {
      // Who hangs up in the middle must not end anything but their own request.
      this.#answer(request, response).catch(() => response.destroy());
    });
    this.#server.on('upgrade', (request, socket, head) => {
      this.#admit(request, socket, head).catch(() => socket.destroy());
    });
    // What a stranger's handshake fails with is no concern of the log's.
    this.#server.on('tlsClientError', (_error, socket) => socket.destroy());
  }

  static async open(options: ListenerOptions): Promise<AgentListener> {
    const { authority, names, clock, listen } = options;
    const listener = new AgentListener(options, await issueServerCertificate(authority, names, clock.nowMs()));
    await new Promise<void>((resolve, reject) => {
      listener.#server.once('error', (cause) => reject(unable(listen, cause)));
      listener.#server.listen(listen.port, listen.host, () => resolve());
    });
    void listener.#keepFresh();
    return listener;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  #contextOf({ key, certificate }: Credentials) {
    const ca = this.#options.authority.certificate;
    // The authority goes along, for those who know no more of it than its fingerprint.
    return {
      ...{ key, cert: certificate + ca, ca, minVersion: 'TLSv1.3' as const },
      secureOptions: constants.SSL_OP_NO_TICKET,
    };
  }

  async #keepFresh(): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = this.#closing;
    for (;;) {
      await clock.sleep(lookMs, { signal, background: true }).catch(() => undefined); // closing: the loop ends
      if (signal.aborted) return;
      await this.#renewOwn().catch((error: unknown) => {
        log.error({ error: messageOf(error) }, 'the certificate for agents cannot be renewed; trying again in an hour');
      });
    }
  }

  async #renewOwn(): Promise<void> {
    const { authority, names, clock, log } = this.#options;
    if (!isToBeRenewed(this.#certificate.certificate, clock.nowMs())) return;
    this.#certificate = await issueServerCertificate(authority, names, clock.nowMs());
    this.#server.setSecureContext(this.#contextOf(this.#certificate));
    log.info('the certificate for agents was renewed');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const address = request.socket.remoteAddress;
    try {
      if (request.method !== 'POST' || request.url !== '/enrol') return reply(response, 404, { error: nothingHere });
      const given = enrolRequest.safeParse(jsonOf(await readBody(request)));
      if (!given.success) return reply(response, 400, { error: notUnderstood });
      reply(response, 200, await this.#enrol(given.data));
    } catch (error) {
      const { code, message, remedy } = describeError(error);
      const isOurs = hasCode(error, 'agent.refused');
      this.#options.log.warn({ address }, `an agent was not let in: ${message}`);
      // What broke inside is for the log.
      reply(response, isOurs ? 403 : 500, { error: isOurs ? { code, message, remedy } : { ...notUnderstood, code } });
    }
  }

  async #enrol({ secret, request, version, hostname, platform }: Enrolling) {
    const { catalogue, authority, clock, log } = this.#options;
    const name = await agentOfSecret(catalogue, secret);
    const certificate = await issueAgentCertificate(authority, { request, name, nowMs: clock.nowMs() });
    await redeemEnrolment(catalogue, { secret, keyHash: keyHashOf(certificate), facts: { hostname, platform } });
    log.info({ agent: name, hostname, version }, 'an agent joined');
    return { name, certificate, authority: authority.certificate };
  }

  async #admit(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => socket.destroy());
    try {
      if (request.url !== '/agent') throw refusal(nothingHere.message, nothingHere.remedy);
      const agent = await this.#identify(request.socket as TLSSocket);
      this.#sockets.handleUpgrade(request, socket, head, (opened) =>
        this.#options.connected({ ...agent, socket: opened }),
      );
    } catch (error) {
      const isOurs = hasCode(error, 'agent.refused');
      const { code, message, remedy } = describeError(error);
      this.#options.log.warn({ address: request.socket.remoteAddress }, `an agent was refused: ${message}`);
      const body = JSON.stringify({ error: isOurs ? { code, message, remedy } : { ...notUnderstood, code } });
      const status = isOurs ? '403 Forbidden' : '503 Service Unavailable';
      const headers = `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close`;
      socket.end(`HTTP/1.1 ${status}\r\n${headers}\r\n\r\n${body}`);
    }
  }

  /** The handshake has shown that the other end holds the key; here it is decided whether that key counts. */
  async #identify(socket: TLSSocket): Promise<Omit<ConnectedAgent, 'socket'>> {
    const { catalogue, authority, clock } = this.#options;
    const { raw: certificate } = socket.getPeerCertificate() as { raw?: Buffer };
    if (certificate === undefined) throw refusal('no certificate was shown', 'Join with: holdfast agent join');
    if (!isIssuedBy(certificate, authority.certificate)) {
      throw refusal('the certificate is not one of this server', 'Join this server with: holdfast agent join');
    }
    const keyHash = keyHashOf(certificate);
    const name = await agentOfKey(catalogue, keyHash);
    const overdueMs = clock.nowMs() - validityOf(certificate).untilMs;
    if (overdueMs <= renewalMs) return { name, certificate, keyHash, isLate: overdueMs > 0 };
    throw refusal(
      `the agent «${name}» was away for too long: its certificate ended more than ${renewalMs / 86_400_000} days ago`,
      `Enrol it anew: holdfast agent enrol --replace ${name}`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }
}

type Enrolling = ReturnType<typeof enrolRequest.parse>;

async function readBody(request: IncomingMessage): Promise<string> {
  if (Number(request.headers['content-length'] ?? 0) > mostBodyBytes) throw tooLong();
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > mostBodyBytes) throw tooLong();
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function tooLong(): HoldfastError {
  return refusal('the request is too long', notUnderstood.remedy);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function reply(response: ServerResponse, status: number, body: object): void {
  if (response.destroyed) return;
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' }).end(text);
}

const nothingHere = {
  code: 'agent.refused',
  message: 'this is the listener for agents, and nothing else',
  remedy: 'Use the address that «server: listen:» names for everything else.',
};
const notUnderstood = {
  code: 'agent.refused',
  message: 'the server could not do what the agent asked for',
  remedy: 'See the log of the server; bring the agent to its version.',
};

function refusal(message: string, remedy: string): HoldfastError {
  return new HoldfastError({ code: 'agent.refused', message, remedy });
}

function unable({ host, port }: ListenerOptions['listen'], cause: Error): HoldfastError {
  return new HoldfastError({
    code: 'host.unreachable',
    message: `agents cannot be listened for at ${host}:${port}: ${messageOf(cause)}`,
    remedy: 'Choose another address or port (server: agents: listen:).',
    cause,
  });
}
