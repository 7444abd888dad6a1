/**
 * Somebody with the keys of a backup client, and every request S3 knows: removes, replaces and destroys what he can, shortens
 * what holds objects, switches versions off, and leaves garbage.
 */

import { createHash } from 'node:crypto';
import { Agent, request } from 'node:http';
import { escapePath, escapeText } from '../../src/storage/s3/location.ts';
import { type VersionEntry, versionPageOf } from '../../src/storage/s3/replies.ts';
import { sign } from '../../src/storage/s3/signer.ts';

export interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface Bucket {
  readonly endpoint: string;
  readonly bucket: string;
  readonly keys: Keys;
}

interface Ask {
  readonly method: string;
  readonly key?: string;
  readonly query?: Record<string, string>;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** One signed request, whatever comes of it. */
export async function ask(
  { endpoint, bucket, keys }: Bucket,
  { method, key, query = {}, headers = {}, body = '' }: Ask,
) {
  const { host, hostname, port } = new URL(endpoint);
  const bytes = Buffer.from(body);
  const path = `/${bucket}${key === undefined ? '' : `/${escapePath(key)}`}`;
  const md5 = createHash('md5').update(bytes).digest('base64');
  const signed = await sign(
    {
      method,
      protocol: 'http:',
      host,
      path,
      query,
      headers: { ...headers, ...(body === '' ? {} : { 'content-md5': md5 }) },
    },
    {
      credentials: keys,
      region: 'us-east-1',
      service: 's3',
      nowMs: Date.now(),
      bodyHash: createHash('sha256').update(bytes).digest('hex'),
    },
  );
  const pairs = Object.entries(query).map(([name, value]) => `${escapeText(name)}=${escapeText(value)}`);
  const target = pairs.length === 0 ? path : `${path}?${pairs.join('&')}`;
  return await new Promise<Answer>((resolve, reject) => {
    const agent = new Agent({ keepAlive: false });
    const outgoing = request({
      agent,
      hostname,
      port,
      method,
      path: target,
      headers: { ...signed, 'content-length': String(bytes.byteLength) },
    });
    outgoing.on('error', reject).on('response', (reply) => {
      let text = '';
      reply.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      reply.on('end', () => resolve({ status: reply.statusCode ?? 0, text }));
    });
    outgoing.end(bytes);
  });
}

export async function allVersions(bucket: Bucket): Promise<VersionEntry[]> {
  const found: VersionEntry[] = [];
  let marker: Record<string, string> | undefined = {};
  while (marker) {
    const { text } = await ask(bucket, { method: 'GET', query: { versions: '', ...marker } });
    const page = versionPageOf(text);
    if (!page) throw new Error(`no list of versions: ${text.slice(0, 300)}`);
    found.push(...page.versions);
    marker = page.next;
  }
  return found;
}

export interface Havoc {
  /** Requests that were carried out, by kind. */
  readonly carriedOut: Record<string, number>;
  readonly refused: Record<string, number>;
}

/** Everything at once. `shorten`: also at what holds objects and keeps versions, where the service is one that refuses it; `seenBy`: whose keys list what there is. */
export async function wreakHavoc(
  bucket: Bucket,
  options: { readonly shorten: boolean; readonly seenBy?: Bucket },
): Promise<Havoc> {
  const carriedOut: Record<string, number> = {};
  const refused: Record<string, number> = {};
  const attempt = async (kind: string, asked: Ask): Promise<void> => {
    const { status } = await ask(bucket, asked);
    const tally = status < 300 ? carriedOut : refused;
    tally[kind] = (tally[kind] ?? 0) + 1;
  };
  const versions = await allVersions(options.seenBy ?? bucket);
  const bypass = { 'x-amz-bypass-governance-retention': 'true' };
  const soon = new Date(Date.now() + 5000).toISOString().replace(/\.\d+Z/, 'Z');
  for (const { key, versionId, isRemoval } of versions) {
    if (isRemoval) continue;
    const shorter = `<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>${soon}</RetainUntilDate></Retention>`;
    if (options.shorten)
      await attempt('shorten', {
        method: 'PUT',
        key,
        query: { retention: '', versionId },
        headers: bypass,
        body: shorter,
      });
    await attempt('destroy', { method: 'DELETE', key, query: { versionId }, headers: bypass });
  }
  const off = '<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>';
  if (options.shorten) await attempt('stop versions', { method: 'PUT', query: { versioning: '' }, body: off });
  const expire =
    '<LifecycleConfiguration><Rule><ID>x</ID><Prefix></Prefix><Status>Enabled</Status><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration></Rule></LifecycleConfiguration>';
  await attempt('expire', { method: 'PUT', query: { lifecycle: '' }, body: expire });
  const current = versions.filter((one) => one.isCurrent && !one.isRemoval);
  for (const [at, { key }] of current.entries()) {
    if (at % 2 === 0) await attempt('replace', { method: 'PUT', key, body: `ransom ${at}` });
    if (at % 3 !== 1) await attempt('remove', { method: 'DELETE', key });
    if (at % 5 === 0) await attempt('replace', { method: 'PUT', key, body: '' });
  }
  const folder = current[0].key.slice(0, current[0].key.lastIndexOf('config'));
  for (let at = 0; at < 20; at++) {
    const id = createHash('sha256').update(`garbage ${at}`).digest('hex');
    const name = ['snapshots', 'index', 'keys', 'locks', `data/${id.slice(0, 2)}`][at % 5];
    await attempt('add garbage', { method: 'PUT', key: `${folder}${name}/${id}`, body: `garbage ${at % 2}` });
  }
  await attempt('remove the bucket', { method: 'DELETE' });
  return { carriedOut, refused };
}
