/**
 * A stand-in for Google Cloud Storage, after its reference (JSON API v1; downloads of the XML API, as Google's own clients
 * make them; OAuth's token endpoint, RFC 7523). In memory, on a free loopback port. It checks tokens, the signature of
 * assertions, MD5s and conditions, and answers with lists of few entries, so that every long one has several pages.
 */
import { createHash, generateKeyPairSync, randomBytes, verify } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

export interface GcsStandIn extends AsyncDisposable {
  readonly endpoint: string;
  /** The JSON of a service account's key that it knows. */
  readonly credentials: string;
  /** Tokens it gave out, in order. */
  readonly tokens: readonly string[];
  /** Tokens are not good any more; new ones are given. */
  expireTokens(): void;
}

interface Stored {
  readonly body: Buffer;
  readonly generation: string;
  readonly metadata: Record<string, string>;
  readonly md5Hash: string;
}

interface Reply {
  readonly status: number;
  readonly json?: unknown;
  readonly body?: Buffer;
  readonly headers?: Record<string, string>;
}

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export interface GcsOptions {
  /** Any token, or none, is good: as emulators have it. */
  readonly open?: boolean;
  /** Entries of a list's page at most. */
  readonly pageSize?: number;
}

export async function startGcs({ open = false, pageSize = 300 }: GcsOptions = {}): Promise<GcsStandIn> {
  const buckets = new Map<string, Map<string, Stored>>();
  const tokens: string[] = [];
  let expired = 0;
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  const server = createServer((incoming, outgoing) => {
    answer(incoming, outgoing).catch(() => outgoing.destroy()); // the client left
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const endpoint = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  const uploads = new Map<
    string,
    { bucket: string; name: string; about: Record<string, unknown>; query: URLSearchParams }
  >();

  async function answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
    const { pathname, searchParams } = new URL(incoming.url ?? '/', endpoint);
    const asked = {
      method: incoming.method ?? '',
      path: pathname,
      query: searchParams,
      headers: incoming.headers,
      body: Buffer.concat(chunks),
    };
    const { status, json, body = Buffer.alloc(0), headers = {} } = routed(asked);
    const bytes = json === undefined ? body : Buffer.from(JSON.stringify(json));
    const type = json === undefined ? 'application/octet-stream' : 'application/json; charset=UTF-8';
    outgoing.writeHead(status, { 'content-type': type, 'content-length': bytes.length, ...headers });
    outgoing.end(asked.method === 'HEAD' ? undefined : bytes);
  }

  function routed(asked: Asked): Reply {
    if (asked.path === '/token') return grant(asked);
    if (asked.path.startsWith('/computeMetadata/')) return ofMachine(asked);
    return refused(asked) ?? reply(asked);
  }

  function grant({ body }: Asked): Reply {
    const form = new URLSearchParams(body.toString());
    const parts = (form.get('assertion') ?? '').split('.');
    const claims = JSON.parse(Buffer.from(parts[1] ?? '', 'base64url').toString() || '{}') as Record<string, unknown>;
    const good =
      form.get('grant_type') === 'urn:ietf:params:oauth:grant-type:jwt-bearer' &&
      verify('sha256', Buffer.from(parts.slice(0, 2).join('.')), publicKey, Buffer.from(parts[2] ?? '', 'base64url')) &&
      claims.aud === `${endpoint}/token` &&
      claims.iss === 'backup@project.iam.gserviceaccount.com' &&
      String(claims.scope).includes('devstorage') &&
      Math.abs(Number(claims.iat) - Date.now() / 1000) < 300;
    if (!good && form.get('refresh_token') !== 'a refresh token')
      return { status: 400, json: { error: 'invalid_grant', error_description: 'Invalid JWT Signature.' } };
    return newToken();
  }

  function ofMachine({ headers, path }: Asked): Reply {
    const right = headers['metadata-flavor'] === 'Google' && path.endsWith('/instance/service-accounts/default/token');
    return right ? newToken() : { status: 403 };
  }

  function newToken(): Reply {
    tokens.push(`ya29.${randomBytes(16).toString('hex')}`);
    return { status: 200, json: { access_token: tokens.at(-1), expires_in: 3599, token_type: 'Bearer' } };
  }

  function refused({ headers }: Asked): Reply | undefined {
    const token = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1] ?? '';
    return open || tokens.slice(expired).includes(token) ? undefined : failure(401, 'Invalid Credentials', 'authError');
  }

  function reply(asked: Asked): Reply {
    const { method, path } = asked;
    if (path === '/storage/v1/b' && method === 'POST') return makeBucket(asked);
    const upload = /^\/(?:resumable\/)?upload\/storage\/v1\/b\/([^/]+)\/o$/.exec(path);
    if (upload) return insert(decodeURIComponent(upload[1]), asked);
    const [, bucketName = '', rest, name] =
      /^\/storage\/v1\/b\/([^/]+)(?:(\/o)(?:\/([^/]+))?)?$/.exec(path) ?? /^\/([^/]+)(\/)(.+)$/.exec(path) ?? [];
    const bucket = buckets.get(decodeURIComponent(bucketName));
    if (!bucket) return noBucket();
    if (rest === undefined) return { status: 200, json: { kind: 'storage#bucket', name: bucketName } };
    if (name === undefined) return list(decodeURIComponent(bucketName), bucket, asked.query);
    return one(decodeURIComponent(bucketName), decodeURIComponent(name), asked);
  }

  function one(bucketName: string, name: string, asked: Asked): Reply {
    const bucket = buckets.get(bucketName);
    const stored = bucket?.get(name);
    if (!stored) return failure(404, `No such object: ${bucketName}/${name}`, 'notFound');
    if (asked.method === 'DELETE') {
      bucket?.delete(name);
      return { status: 204 };
    }
    const isMedia = asked.query.get('alt') === 'media' || !asked.path.startsWith('/storage/v1/');
    return isMedia ? media(stored, asked) : { status: 200, json: described(bucketName, name, stored) };
  }

  function makeBucket({ body, query }: Asked): Reply {
    const { name } = JSON.parse(body.toString()) as { name: string };
    if (!query.get('project')) return failure(400, 'Required parameter: project', 'required');
    if (buckets.has(name))
      return failure(409, 'Your previous request to create the named bucket succeeded.', 'conflict');
    buckets.set(name, new Map());
    return { status: 200, json: { kind: 'storage#bucket', name } };
  }

  function insert(bucketName: string, asked: Asked): Reply {
    const { query, headers, body } = asked;
    const bucket = buckets.get(bucketName);
    if (!bucket) return noBucket();
    const id = query.get('upload_id');
    if (id !== null) return resume(id, asked);
    if (query.get('uploadType') === 'resumable') {
      const about = JSON.parse(body.toString() || '{}') as Record<string, unknown>;
      const begun = randomBytes(8).toString('hex');
      uploads.set(begun, { bucket: bucketName, name: String(about.name ?? query.get('name')), about, query });
      const location = `${endpoint}/upload/storage/v1/b/${bucketName}/o?uploadType=resumable&upload_id=${begun}`;
      return { status: 200, headers: { location } };
    }
    const { about, content } = related(headers['content-type'] ?? '', body);
    return store(bucketName, { name: String(about.name ?? query.get('name')), about, content, query });
  }

  /** One request with all bytes, as clients send what fits into one of their chunks. */
  function resume(id: string, { body, headers }: Asked): Reply {
    const upload = uploads.get(id);
    if (!upload) return failure(404, 'no such upload', 'notFound');
    const total = /\/(\d+)$/.exec(headers['content-range'] ?? '')?.[1];
    if (total !== undefined && Number(total) !== body.length) return failure(400, 'only whole uploads here', 'invalid');
    return store(upload.bucket, { ...upload, content: body });
  }

  function store(
    bucketName: string,
    {
      name,
      about,
      content,
      query,
    }: { name: string; about: Record<string, unknown>; content: Buffer; query: URLSearchParams },
  ): Reply {
    const bucket = buckets.get(bucketName);
    if (!bucket) return noBucket();
    const md5Hash = createHash('md5').update(content).digest('base64');
    if (about.md5Hash !== undefined && about.md5Hash !== md5Hash)
      return failure(400, `Provided MD5 hash "${about.md5Hash}" doesn't match`, 'invalid');
    if (query.get('ifGenerationMatch') === '0' && bucket.has(name))
      return failure(412, 'At least one of the pre-conditions you specified did not hold.', 'conditionNotMet');
    const generation = String(process.hrtime.bigint());
    const stored = { body: content, generation, metadata: (about.metadata ?? {}) as Record<string, string>, md5Hash };
    bucket.set(name, stored);
    return { status: 200, json: described(bucketName, name, stored) };
  }

  function list(bucketName: string, bucket: Map<string, Stored>, query: URLSearchParams): Reply {
    const [prefix, after] = [query.get('prefix') ?? '', query.get('pageToken') ?? ''];
    const all = [...bucket.keys()]
      .filter((name) => name.startsWith(prefix) && name > after)
      .sort((a, b) => (a < b ? -1 : 1));
    const page = all.slice(0, Math.min(pageSize, Number(query.get('maxResults') ?? pageSize)));
    const items = page.map((name) => described(bucketName, name, bucket.get(name)));
    const next = page.length < all.length ? { nextPageToken: page.at(-1) } : {};
    return { status: 200, json: { kind: 'storage#objects', ...(items.length > 0 ? { items } : {}), ...next } };
  }

  return {
    endpoint,
    credentials: JSON.stringify({
      type: 'service_account',
      project_id: 'project',
      private_key_id: 'one',
      private_key: privateKey,
      client_email: 'backup@project.iam.gserviceaccount.com',
      token_uri: `${endpoint}/token`,
    }),
    tokens,
    expireTokens: () => {
      expired = tokens.length;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function described(bucket: string, name: string, stored: Stored | undefined): object {
  return {
    kind: 'storage#object',
    bucket,
    name,
    size: String(stored?.body.length ?? 0),
    generation: stored?.generation,
    metageneration: '1',
    md5Hash: stored?.md5Hash,
    metadata: stored?.metadata,
  };
}

function media({ body, generation, md5Hash }: Stored, { headers }: Asked): Reply {
  const about = {
    'x-goog-generation': generation,
    'x-goog-hash': `md5=${md5Hash}`,
    'x-goog-metageneration': '1',
    'last-modified': new Date().toUTCString(),
  };
  const range = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '');
  if (!range) return { status: 200, body, headers: about };
  const [from, to] = [
    Number(range[1]),
    range[2] === '' ? body.length - 1 : Math.min(Number(range[2]), body.length - 1),
  ];
  if (from >= body.length) return { status: 416, headers: { 'content-range': `bytes */${body.length}` } };
  return {
    status: 206,
    body: body.subarray(from, to + 1),
    headers: { ...about, 'content-range': `bytes ${from}-${to}/${body.length}` },
  };
}

/** The two parts of `multipart/related`. */
function related(type: string, body: Buffer): { about: Record<string, unknown>; content: Buffer } {
  const boundary = /boundary="?([^";]+)"?/.exec(type)?.[1] ?? '';
  const mark = Buffer.from(`--${boundary}`);
  const [first, second, last] = positions(body, mark);
  const partOf = (from: number, to: number): Buffer => {
    const part = body.subarray(from + mark.length + 2, to - 2);
    return part.subarray(part.indexOf('\r\n\r\n') + 4);
  };
  return {
    about: JSON.parse(partOf(first, second).toString()) as Record<string, unknown>,
    content: partOf(second, last),
  };
}

function positions(body: Buffer, mark: Buffer): number[] {
  const found: number[] = [];
  for (let at = body.indexOf(mark); at >= 0; at = body.indexOf(mark, at + mark.length)) found.push(at);
  return found;
}

function noBucket(): Reply {
  return failure(404, 'The specified bucket does not exist.', 'notFound');
}

function failure(status: number, message: string, reason: string): Reply {
  return { status, json: { error: { code: status, message, errors: [{ message, domain: 'global', reason }] } } };
}
