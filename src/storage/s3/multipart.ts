/**
 * Large objects in parts, which can be sent side by side and tried again one by one. The object is there when the upload is
 * completed, not before; an upload that failed is given up, and what killed programs left is swept, because services keep
 * (and charge for) parts of unfinished uploads until somebody does.
 */
import { formatBytes } from '../../base/bytes.ts';
import { parseInstant } from '../../base/clock.ts';
import { forEachConcurrent } from '../../base/concurrency.ts';
import { HoldfastError, hasCode } from '../../base/errors.ts';
import { parseHttpDate } from '../retry.ts';
import { escapeXml, textOf, uploadsOf } from './replies.ts';
import { header, unexpectedReply } from './s3-errors.ts';
import type { S3Reply, S3Service } from './service.ts';

export interface LargeObject {
  readonly doing: string;
  readonly key: string;
  readonly parts: readonly Uint8Array[];
  readonly partBytes: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly md5: boolean;
  readonly signal?: AbortSignal;
}

/** Parts on their way at once. */
const atOnce = 4;
/** The most an upload may have. */
const maxParts = 10_000;
const abandonedAfterMs = 24 * 3_600_000;

/** The answer that completed it (its tag is in the body, so it comes without one). Memory: none besides the body. */
export async function putInParts(service: S3Service, object: LargeObject): Promise<S3Reply> {
  const { doing, key, headers, signal } = object;
  const slices = [...slicesOf(object.parts, object.partBytes)];
  if (slices.length > maxParts) throw tooLarge(object, service.shown);
  // Decisive: what was begun can only be given up by who knows its id.
  const begin = { doing, method: 'POST', key, query: { uploads: '' }, headers, signal, decisive: true } as const;
  const begun = await service.send(begin);
  const uploadId = textOf(text(begun.body), 'UploadId');
  if (uploadId === undefined) throw unexpectedReply(doing, service.shown, 'an upload in parts was begun without an id');
  try {
    const tags = await sendParts(service, object, uploadId, slices);
    return await complete(service, object, uploadId, tags);
  } catch (error) {
    // What stopped the upload is what the caller must hear; parts that cannot be removed now are swept later.
    await abort(service, key, uploadId).catch(() => undefined);
    throw error;
  }
}

async function sendParts(
  service: S3Service,
  { doing, key, md5, signal }: LargeObject,
  uploadId: string,
  slices: readonly (readonly Uint8Array[])[],
): Promise<readonly string[]> {
  const tags: string[] = [];
  const numbered = slices.map((body, at) => ({ body, at }));
  await forEachConcurrent(
    numbered,
    atOnce,
    async ({ body, at }) => {
      const query = { partNumber: String(at + 1), uploadId };
      const reply = await service.send({ doing, method: 'PUT', key, query, body, md5, signal });
      const tag = header(reply, 'etag');
      if (tag === undefined) throw unexpectedReply(doing, service.shown, 'a part was stored without a tag');
      tags[at] = tag;
    },
    signal,
  );
  return tags;
}

async function complete(
  service: S3Service,
  object: LargeObject,
  uploadId: string,
  tags: readonly string[],
): Promise<S3Reply> {
  const { doing, key, signal } = object;
  const entries = tags.map(
    (tag, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${escapeXml(tag)}</ETag></Part>`,
  );
  const body = [Buffer.from(`<CompleteMultipartUpload>${entries.join('')}</CompleteMultipartUpload>`, 'utf8')];
  const headers = { 'content-type': 'application/xml' };
  const reply = await service.send({
    doing,
    method: 'POST',
    key,
    query: { uploadId },
    headers,
    body,
    signal,
    decisive: true,
    accept: [404],
  });
  if (reply.status !== 404) return reply;
  // An earlier try whose answer was lost may have completed it: then the object is there with its size.
  const found = reply.repeated ? await service.send({ doing, method: 'HEAD', key, signal, accept: [404] }) : reply;
  const sizeBytes = object.parts.reduce((sum, part) => sum + part.byteLength, 0);
  if (found.status === 200 && header(found, 'content-length') === String(sizeBytes)) return found;
  throw new HoldfastError({
    code: 'storage.io',
    message: `cannot ${doing} in ${service.shown}: the service no longer knows the upload it had begun`,
    remedy: 'Check that no lifecycle rule removes unfinished uploads within minutes, then run it again.',
    retry: 'later',
  });
}

/** Not under the caller's signal: after a cancelled upload this is what remains to be done. */
async function abort(service: S3Service, key: string, uploadId: string): Promise<void> {
  const doing = 'give up an upload';
  await service.send({ doing, method: 'DELETE', key, query: { uploadId }, regardless: true, accept: [404] });
}

/** Consecutive runs of `size` bytes, as views. */
export function* slicesOf(parts: readonly Uint8Array[], size: number): Generator<readonly Uint8Array[]> {
  let slice: Uint8Array[] = [];
  let room = size;
  for (const part of parts) {
    for (let at = 0; at < part.byteLength; ) {
      const piece = part.subarray(at, at + room);
      slice.push(piece);
      at += piece.byteLength;
      room -= piece.byteLength;
      if (room > 0) continue;
      yield slice;
      slice = [];
      room = size;
    }
  }
  if (slice.length > 0) yield slice;
}

/** Gives up unfinished uploads below the prefix that began more than a day ago, once per handle. */
export class UploadSweep {
  readonly #service: S3Service;
  #swept: Promise<void> | undefined;

  constructor(service: S3Service) {
    this.#service = service;
  }

  once(signal?: AbortSignal): Promise<void> {
    this.#swept ??= this.#sweep(signal).catch((error: unknown) => {
      // Who may store but not look at uploads can store; services that cannot list them have no such leftovers to show.
      if (hasCode(error, 'storage.denied', 'storage.io', 'storage.not-found')) return;
      this.#swept = undefined;
      throw error;
    });
    return this.#swept;
  }

  /** The first thousand: more are swept by the next handle. */
  async #sweep(signal?: AbortSignal): Promise<void> {
    const service = this.#service;
    const doing = 'look for unfinished uploads';
    const { prefix } = service.location;
    const query = { uploads: '', prefix, 'encoding-type': 'url' };
    const reply = await service.send({ doing, method: 'GET', query, signal });
    // The service's own clock: this machine's may be another.
    const nowMs = parseHttpDate(header(reply, 'date') ?? '');
    if (nowMs === undefined) return;
    for (const { key, uploadId, initiated } of uploadsOf(text(reply.body))) {
      const begunMs = parseInstant(initiated.replace(/\.\d+/, ''));
      const old = begunMs !== undefined && begunMs < nowMs - abandonedAfterMs;
      if (old && key.startsWith(prefix)) await abort(service, key, uploadId);
    }
  }
}

function tooLarge({ doing, partBytes }: LargeObject, shown: string): HoldfastError {
  return new HoldfastError({
    code: 'storage.io',
    message: `cannot ${doing} in ${shown}: it has more than ${maxParts} parts of ${formatBytes(partBytes)}`,
    remedy: 'Raise s3.partBytes.',
  });
}

function text(body: Uint8Array): string {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8');
}
