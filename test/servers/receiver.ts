/** A server on a free loopback port that keeps what it is sent and answers as it is told. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { HttpConnections, type HttpExchanges } from '../../src/protocols/http/exchange.ts';

export interface Received {
  readonly method: string;
  /** The host it was meant for. */
  readonly host: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export class Receiver implements AsyncDisposable {
  readonly received: Received[] = [];
  /** What it answers; `undefined`: nothing at all, ever. */
  answer: (request: Received) => Answer | undefined = () => ({ status: 200, body: 'ok' });
  readonly #server: Server;
  readonly #connections = new HttpConnections({ maxConnections: 8, silenceMs: 20_000, env: {} });

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<Receiver> {
    const server = createServer();
    const receiver = new Receiver(server);
    server.on('request', async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const host = String(request.headers['x-meant-for'] ?? request.headers.host);
      const one = {
        method: request.method!,
        host,
        path: request.url!,
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
      };
      receiver.received.push(one);
      const answer = receiver.answer(one);
      if (answer) response.writeHead(answer.status, answer.headers).end(answer.body ?? '');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Whatever host a request is for, this server gets it. */
  get exchanges(): HttpExchanges {
    const { host } = new URL(this.url);
    return {
      exchange: (asked) =>
        this.#connections.exchange({
          ...asked,
          protocol: 'http:',
          host,
          headers: { ...asked.headers, 'x-meant-for': `${asked.protocol}//${asked.host}` },
        }),
      close: () => undefined,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#connections.close();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
