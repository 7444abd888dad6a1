/**
 * A stand-in for restic's rest-server, with the rules its documentation and source give: folders and names of restic only, two
 * levels of folders above them, every name the SHA-256 of the content, nothing replaced. In memory.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface StrictRest extends AsyncDisposable {
  readonly port: number;
  /** By path. */
  readonly stored: ReadonlyMap<string, Buffer>;
}

interface Reply {
  readonly status: number;
  readonly body?: Buffer | string;
  readonly type?: string;
}

interface Asked {
  readonly path: string;
  /** `undefined` for the config. */
  readonly id: string | undefined;
  readonly body: Buffer;
  readonly range: string | undefined;
}

type Store = Map<string, Buffer>;

const repositoryForm = /^(?:\/[^/]+){0,2}\/$/;
const listForm = /^(?:\/[^/]+){0,2}\/(?:data|index|keys|locks|snapshots)\/$/;
const objectForm = /^(?:\/[^/]+){0,2}\/(?:config|(?:data|index|keys|locks|snapshots)\/([0-9a-f]{64}))$/;

const methods: Readonly<Record<string, (store: Store, asked: Asked) => Reply>> = {
  POST: save,
  HEAD: read,
  GET: read,
  DELETE: (store, { path }) => ({ status: store.delete(path) ? 200 : 404 }),
};

export async function startStrictRest(): Promise<StrictRest> {
  const stored: Store = new Map();
  const server = createServer((request, response) => {
    answer(stored, request, response).catch(() => response.destroy()); // the client left
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    stored,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(store: Store, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = '', url = '' } = request;
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const {
    status,
    body = '',
    type = 'text/plain',
  } = replyTo(store, method, url, {
    body: Buffer.concat(chunks),
    range: request.headers.range,
  });
  response.writeHead(status, { 'content-length': Buffer.byteLength(body), 'content-type': type });
  response.end(method === 'HEAD' ? undefined : body);
}

function replyTo(store: Store, method: string, url: string, sent: Pick<Asked, 'body' | 'range'>): Reply {
  const [path, query] = url.split('?');
  if (repositoryForm.test(path)) return { status: method === 'POST' && query === 'create=true' ? 200 : 405 };
  if (listForm.test(path)) return method === 'GET' ? list(store, path) : { status: 405 };
  const object = objectForm.exec(path);
  return object ? methods[method](store, { ...sent, path, id: object[1] }) : { status: 404 };
}

function save(store: Store, { path, id, body }: Asked): Reply {
  if (store.has(path)) return { status: 403 };
  const right = id === undefined || createHash('sha256').update(body).digest('hex') === id;
  if (right) store.set(path, body);
  return { status: right ? 200 : 400 };
}

function read(store: Store, { path, range }: Asked): Reply {
  const body = store.get(path);
  if (!body) return { status: 404 };
  const asked = /^bytes=(\d+)-(\d+)$/.exec(range ?? '');
  if (!asked) return { status: 200, body };
  const [from, to] = [Number(asked[1]), Number(asked[2])];
  return from >= body.length ? { status: 416 } : { status: 206, body: body.subarray(from, to + 1) };
}

/** Go writes an empty list as null. */
function list(store: Store, folder: string): Reply {
  const found = [...store].filter(([path]) => path.startsWith(folder));
  const entries = found.map(([path, bytes]) => ({ name: path.slice(folder.length), size: bytes.length }));
  const body = JSON.stringify(entries.length > 0 ? entries : null);
  return { status: 200, body, type: 'application/vnd.x.restic.rest.v2' };
}
