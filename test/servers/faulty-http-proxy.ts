/** Stands before an HTTP server and lets chosen requests fail as networks and services do. */
import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';

/**
 * reset: the connection ends before the request is read · busy, fault, too-many, denied, full: 503, 500, 429, 403, 507 · truncate: the
 * answer ends early · lost-answer: the request is carried out, and no answer comes · silence: neither.
 */
export type Fault =
  | 'reset'
  | 'busy'
  | 'fault'
  | 'too-many'
  | 'denied'
  | 'full'
  | 'truncate'
  | 'lost-answer'
  | 'silence';

export interface FaultyProxy extends AsyncDisposable {
  readonly endpoint: string;
  /** The next `times` requests fail. */
  failNext(fault: Fault, times: number): void;
  /** Requests that were failed. */
  readonly failed: number;
  /** The access keys that signed, in order. */
  readonly keysSeen: readonly string[];
}

const refusals: Partial<Record<Fault, readonly [number, string]>> = {
  busy: [503, 'SlowDown'],
  fault: [500, 'InternalError'],
  'too-many': [429, 'TooManyRequests'],
  denied: [403, 'AccessDenied'],
  full: [507, 'InsufficientStorage'],
};

/** `seen` is told of every request before it is passed on, and before its body is read. */
export async function startFaultyProxy(
  target: string,
  seen: (request: IncomingMessage) => void = () => {},
): Promise<FaultyProxy> {
  const agent = new Agent({ keepAlive: true });
  const keysSeen: string[] = [];
  const plan = { fault: 'reset' as Fault, left: 0, failed: 0 };
  const server = createServer((near, answer) => {
    near.on('error', () => {});
    answer.on('error', () => {});
    const key = /Credential=([^/]+)\//.exec(near.headers.authorization ?? '')?.[1];
    if (key !== undefined) keysSeen.push(key);
    seen(near);
    if (plan.left === 0) return void forward(near, answer);
    plan.left--;
    plan.failed++;
    fail(plan.fault, near, answer);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');

  function fail(fault: Fault, near: IncomingMessage, answer: ServerResponse): void {
    const refusal = refusals[fault];
    if (fault === 'reset') near.socket.resetAndDestroy();
    else if (fault === 'truncate' || fault === 'lost-answer') forward(near, answer, fault);
    else if (refusal) {
      near.resume().on('end', () => {
        answer.writeHead(refusal[0], { 'content-type': 'application/xml', 'retry-after': '0' });
        answer.end(`<Error><Code>${refusal[1]}</Code><Message>not now</Message></Error>`);
      });
    }
  }

  function forward(near: IncomingMessage, answer: ServerResponse, fault?: Fault): void {
    const { method, url: path, headers } = near;
    const { hostname, port } = new URL(target);
    const far = request({ hostname, port, method, path, headers, agent }, (reply) => {
      if (fault === 'lost-answer') return void reply.resume().on('end', () => near.socket.resetAndDestroy());
      answer.writeHead(reply.statusCode ?? 500, reply.headers);
      if (fault !== 'truncate') return void reply.pipe(answer);
      // The head and a few bytes, whatever was promised.
      reply.once('data', (chunk: Buffer) => answer.write(chunk.subarray(0, 10)));
      reply.resume().on('end', () => setImmediate(() => near.socket.destroy()));
    });
    far.on('error', () => near.socket.destroy());
    near.pipe(far);
  }

  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    failNext: (fault, times) => {
      plan.fault = fault;
      plan.left = times;
    },
    get failed() {
      return plan.failed;
    },
    keysSeen,
    [Symbol.asyncDispose]: async () => {
      agent.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
