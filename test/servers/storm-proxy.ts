/**
 * Stands before an S3 server and lets requests go wrong at random, by a seed: connections that end before, amid and after,
 * delays, refusals, answers that are cut, bits that flip on the way back, and writes that are acknowledged and not kept.
 */
import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { seededRandom } from '../../src/storage/fault-plan.ts';

/**
 * drop-before: the connection ends before the request is read · drop-amid: half of the answer, then the end · drop-after:
 * the request is carried out, no answer comes · refuse: 500, 503 or 429 with Retry-After · cut: the answer is shorter and
 * says so · flip: one bit of an object that is read · lose: a write is acknowledged and not carried out · tear: a write is
 * acknowledged, and a part of it stored.
 */
export const storms = [
  'drop-before',
  'drop-amid',
  'drop-after',
  'delay',
  'refuse',
  'cut',
  'flip',
  'lose',
  'tear',
] as const;
export type Storm = (typeof storms)[number];

/**
 * Share of the requests, 0–1, that go wrong in each way; `away`: none is answered from that one on. `since`: all of this
 * begins with the first request that has this in it, e.g. `PUT /bucket/data/`.
 */
export type Weather = Partial<Record<Storm, number>> & { readonly away?: number; readonly since?: string };

export interface StormProxy extends AsyncDisposable {
  readonly endpoint: string;
  /** From the next request on. */
  set(weather: Weather, seed: number): void;
  /** What went wrong since `set`. */
  readonly struck: ReadonlyMap<Storm, number>;
  /** Requests since `set`. */
  readonly requests: number;
}

export async function startStormProxy(target: string): Promise<StormProxy> {
  const agent = new Agent({ keepAlive: true });
  const sky = new Sky();
  const { hostname, port } = new URL(target);
  const server = createServer((near, answer) => {
    near.on('error', () => {});
    answer.on('error', () => {});
    void handle(near, answer).catch(() => near.socket.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');

  async function handle(near: IncomingMessage, answer: ServerResponse): Promise<void> {
    const storm = sky.next(near.method ?? '', near.url ?? '');
    if (storm === 'drop-before') return void near.socket.resetAndDestroy();
    const body = Buffer.concat(await (near as Readable).toArray());
    if (storm === 'refuse') return refuse(answer);
    if (storm === 'delay') await setTimeout(sky.draw() * 20);
    if (storm === 'lose') return void answer.writeHead(200, { etag: '"d41d8cd98f00b204e9800998ecf8427e"' }).end();
    const sent = storm === 'tear' ? body.subarray(0, Math.floor(sky.draw() * body.byteLength)) : body;
    const reply = await ask(near, sent);
    give(reply, storm, near, answer);
  }

  async function ask({ method, url: path, headers }: IncomingMessage, body: Buffer): Promise<Reply> {
    const sized = body.byteLength > 0 || headers['content-length'] !== undefined;
    const own = sized ? { ...headers, 'content-length': String(body.byteLength) } : headers;
    const far = request({ hostname, port, method, path, headers: own, agent });
    far.end(body);
    const [reply] = (await once(far, 'response')) as [IncomingMessage];
    const bytes = Buffer.concat(await (reply as Readable).toArray());
    return { status: reply.statusCode ?? 500, headers: reply.headers, body: bytes };
  }

  function give(
    { status, headers, body }: Reply,
    storm: Storm | undefined,
    near: IncomingMessage,
    answer: ServerResponse,
  ) {
    if (storm === 'drop-after') return void near.socket.resetAndDestroy();
    if (storm === 'flip' && body.byteLength > 0) {
      body[Math.floor(sky.draw() * body.byteLength)] ^= 1 << Math.floor(sky.draw() * 8);
    }
    if (storm === 'cut') {
      const part = body.subarray(0, Math.floor(sky.draw() * body.byteLength));
      answer.writeHead(status, { ...headers, 'content-length': String(part.byteLength) });
      return void answer.end(part);
    }
    answer.writeHead(status, headers);
    if (storm !== 'drop-amid') return void answer.end(near.method === 'HEAD' ? undefined : body);
    answer.write(body.subarray(0, body.byteLength >> 1), () => near.socket.resetAndDestroy());
  }

  function refuse(answer: ServerResponse): void {
    const kinds = [
      [503, 'SlowDown'],
      [500, 'InternalError'],
      [429, 'TooManyRequests'],
    ] as const;
    const [status, code] = kinds[Math.floor(sky.draw() * kinds.length)];
    answer.writeHead(status, { 'content-type': 'application/xml', 'retry-after': '1' });
    answer.end(`<Error><Code>${code}</Code><Message>not now</Message></Error>`);
  }

  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    set: (weather, seed) => sky.set(weather, seed),
    get struck() {
      return sky.struck;
    },
    get requests() {
      return sky.requests;
    },
    [Symbol.asyncDispose]: async () => {
      agent.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

interface Reply {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

class Sky {
  readonly struck = new Map<Storm, number>();
  requests = 0;
  #weather: Weather = {};
  #draw = (): number => 0;
  #begun = false;
  /** Requests since it began. */
  #amid = 0;

  set(weather: Weather, seed: number): void {
    this.#weather = weather;
    this.#draw = seededRandom(seed);
    this.struck.clear();
    this.requests = 0;
    this.#begun = false;
    this.#amid = 0;
  }

  draw(): number {
    return this.#draw();
  }

  next(method: string, url: string): Storm | undefined {
    const { since, away = Infinity } = this.#weather;
    this.requests++;
    if (since === undefined || `${method} ${url}`.includes(since)) this.#begun = true;
    if (!this.#begun) return undefined;
    if (this.#amid++ >= away) return this.#count('drop-before');
    let left = this.#draw();
    for (const storm of storms) {
      left -= this.#weather[storm] ?? 0;
      if (left < 0) return means(storm, method, url) ? this.#count(storm) : undefined;
    }
    return undefined;
  }

  #count(storm: Storm): Storm {
    this.struck.set(storm, (this.struck.get(storm) ?? 0) + 1);
    return storm;
  }
}

/** Whether a storm can strike such a request. Bits flip in objects only: a list is text no checksum of ours covers (TLS does). */
function means(storm: Storm, method: string, url: string): boolean {
  const isObject = !url.includes('list-type');
  if (storm === 'lose' || storm === 'tear') return method === 'PUT' && isObject;
  if (storm === 'flip') return method === 'GET' && isObject;
  if (storm === 'cut') return method === 'GET';
  return true;
}
