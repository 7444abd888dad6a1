/**
 * A bucket, or a folder of one, as storage, by the JSON API. An object's name is the prefix and the name: restic's layout. One
 * request stores an object as a whole or not at all, and everybody sees it from then on (the service is strongly consistent).
 */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { HoldfastError, throwIfCancelled } from '../../base/errors.ts';
import type { HttpReply } from '../../protocols/http/exchange.ts';
import { md5Of } from '../body-hash.ts';
import { strangeAnswer } from '../http-faults.ts';
import { type HttpObjects, type ReadRequest, readObject, readObjectInto } from '../http-reads.ts';
import { escapeText, type HttpService } from '../http-service.ts';
import { objectExists } from '../object-faults.ts';
import { checkObjectName, isObjectName } from '../object-name.ts';
import type { ByteRange, PutOptions, Storage, StoredObject } from '../storage.ts';

export interface GsStorageParts {
  readonly service: HttpService;
  readonly bucket: string;
  readonly prefix: string;
}

export interface NewBucket {
  readonly project?: string;
  readonly location: string;
}

const size = z
  .string()
  .regex(/^\d{1,15}$/)
  .transform(Number);
const objectForm = z.object({
  size,
  md5Hash: z.string().optional(),
  metadata: z.record(z.string(), z.string()).optional(),
});
const pageForm = z.object({
  items: z.array(z.object({ name: z.string(), size })).default([]),
  nextPageToken: z.string().optional(),
});

/** By which an answer that got lost is told from an object somebody else made. */
const markName = 'holdfast-put';

export class GsStorage implements Storage, HttpObjects {
  readonly location: string;
  readonly #service: HttpService;
  readonly #prefix: string;
  readonly #bucket: string;
  /** The bucket was seen: a missing object then means just that. */
  #seen = false;

  constructor({ service, bucket, prefix }: GsStorageParts) {
    this.#service = service;
    this.#prefix = prefix;
    this.#bucket = escapeText(bucket);
    this.location = service.location;
  }

  /** Makes the bucket, if there is none. */
  async create({ project, location }: NewBucket): Promise<void> {
    if (await this.#isThere()) return;
    const name = decodeURIComponent(this.#bucket);
    if (project === undefined) throw noProject(name);
    const body = [Buffer.from(JSON.stringify({ name, location }), 'utf8')];
    const headers = { 'content-type': 'application/json' };
    const asked = {
      doing: `make the bucket ${name}`,
      method: 'POST',
      path: '/storage/v1/b',
      query: { project },
    } as const;
    // 409: another program made it meanwhile, or it belongs to somebody else, which the next request says.
    await this.#service.send({ ...asked, headers, body, accept: [409] });
    await this.#assertBucket();
  }

  async put(name: string, parts: readonly Uint8Array[], options: PutOptions = {}): Promise<void> {
    checkObjectName(name);
    const { mustNotExist = false, signal } = options;
    throwIfCancelled(signal);
    const mark = randomBytes(16).toString('hex');
    const md5Hash = await md5Of(parts, signal);
    const about = { name: this.#prefix + name, md5Hash, metadata: mustNotExist ? { [markName]: mark } : undefined };
    const { body, headers } = related(about, parts);
    const query = {
      uploadType: 'multipart',
      fields: 'size,md5Hash',
      ...(mustNotExist ? { ifGenerationMatch: '0' } : {}),
    };
    const doing = `write ${name}`;
    const path = `/upload/storage/v1/b/${this.#bucket}/o`;
    const asked = {
      doing,
      method: 'POST',
      path,
      query,
      headers,
      body,
      signal,
      accept: mustNotExist ? [412] : [],
    } as const;
    const reply = await this.#service.send({ ...asked, decisive: true });
    if (reply.status === 412) {
      if (reply.repeated && (await this.#look(name, signal))?.metadata?.[markName] === mark) return;
      throw objectExists(name, this.location);
    }
    const stored = this.#parsed(objectForm, reply, doing);
    if ((stored.md5Hash ?? md5Hash) === md5Hash) return;
    throw strangeAnswer(this.#service.asking(doing), 'what was stored has another MD5 than what was sent');
  }

  async get(name: string, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    return await readObject(this, name, range, signal);
  }

  async getInto(name: string, offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void> {
    await readObjectInto(this, name, offset, into, signal);
  }

  async stat(name: string, signal?: AbortSignal): Promise<StoredObject | undefined> {
    checkObjectName(name);
    throwIfCancelled(signal);
    const sizeBytes = await this.size(name, signal);
    return sizeBytes === undefined ? undefined : { name, sizeBytes };
  }

  async size(name: string, signal?: AbortSignal): Promise<number | undefined> {
    return (await this.#look(name, signal))?.size;
  }

  async read(name: string, request: ReadRequest): Promise<HttpReply | undefined> {
    const asked = { doing: `read ${name}`, method: 'GET', path: this.#pathOf(name), query: { alt: 'media' } } as const;
    const reply = await this.#service.send({ ...asked, ...request, accept: [404, 416] });
    return reply.status === 404 ? await this.#assertBucket(request.signal) : reply;
  }

  async *list(folder: string, signal?: AbortSignal): AsyncGenerator<StoredObject> {
    checkObjectName(folder);
    const doing = `list ${folder}`;
    const prefix = `${this.#prefix}${folder}/`;
    let token: string | undefined;
    do {
      throwIfCancelled(signal);
      const query = { prefix, fields: 'items(name,size),nextPageToken', ...(token && { pageToken: token }) };
      const path = `/storage/v1/b/${this.#bucket}/o`;
      const page = this.#parsed(
        pageForm,
        await this.#service.send({ doing, method: 'GET', path, query, signal }),
        doing,
      );
      for (const item of page.items) {
        const name = item.name.slice(this.#prefix.length);
        if (item.name.startsWith(prefix) && isObjectName(name)) yield { name, sizeBytes: item.size };
      }
      if (token !== undefined && page.nextPageToken === token) {
        throw strangeAnswer(this.#service.asking(doing), 'the list has more pages, but no way to the next one');
      }
      token = page.nextPageToken;
    } while (token !== undefined);
  }

  async delete(name: string, signal?: AbortSignal): Promise<void> {
    checkObjectName(name);
    throwIfCancelled(signal);
    const asked = {
      doing: `delete ${name}`,
      method: 'DELETE',
      path: this.#pathOf(name),
      accept: [404],
      signal,
    } as const;
    if ((await this.#service.send(asked)).status === 404) await this.#assertBucket(signal);
  }

  async close(): Promise<void> {
    await this.#service.close();
  }

  async #look(name: string, signal?: AbortSignal): Promise<z.infer<typeof objectForm> | undefined> {
    const doing = `look at ${name}`;
    const query = { fields: 'size,metadata' };
    const asked = { doing, method: 'GET', path: this.#pathOf(name), query, accept: [404], signal } as const;
    const reply = await this.#service.send(asked);
    if (reply.status === 404) return await this.#assertBucket(signal);
    return this.#parsed(objectForm, reply, doing);
  }

  /** `storage.not-found` if there is no bucket: its objects are then not just absent. Asked until it was seen. */
  async #assertBucket(signal?: AbortSignal): Promise<undefined> {
    if (!this.#seen) await this.#service.send(this.#bucketRequest(signal));
    this.#seen = true;
    return undefined;
  }

  async #isThere(): Promise<boolean> {
    return (await this.#service.send({ ...this.#bucketRequest(), accept: [404] })).status !== 404;
  }

  /** By a list: who may use its objects need not be allowed to look at the bucket itself. */
  #bucketRequest(signal?: AbortSignal) {
    const query = { maxResults: '1', prefix: `${this.#prefix}config`, fields: 'nextPageToken' };
    const path = `/storage/v1/b/${this.#bucket}/o`;
    return { doing: 'find the bucket', method: 'GET', path, query, signal } as const;
  }

  #parsed<T>(form: z.ZodType<T>, { body }: HttpReply, doing: string): T {
    const parsed = form.safeParse(jsonOf(body));
    if (parsed.success) return parsed.data;
    throw strangeAnswer(this.#service.asking(doing), 'the answer is not what the service gives');
  }

  #pathOf(name: string): string {
    return `/storage/v1/b/${this.#bucket}/o/${escapeText(this.#prefix + name)}`;
  }
}

/** `multipart/related`: what is to be known about the object, then its bytes. The boundary is random: no body has it. */
function related(about: object, parts: readonly Uint8Array[]) {
  const boundary = `holdfast-${randomBytes(24).toString('hex')}`;
  const json = JSON.stringify({ ...about, contentType: 'application/octet-stream' });
  const head = `--${boundary}\r\ncontent-type: application/json; charset=utf-8\r\n\r\n${json}\r\n--${boundary}\r\ncontent-type: application/octet-stream\r\n\r\n`;
  return {
    body: [Buffer.from(head, 'utf8'), ...parts, Buffer.from(`\r\n--${boundary}--\r\n`, 'utf8')],
    headers: { 'content-type': `multipart/related; boundary=${boundary}` },
  };
}

function jsonOf(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    return undefined;
  }
}

function noProject(bucket: string): HoldfastError {
  return new HoldfastError({
    code: 'config.invalid',
    message: `there is no bucket ${bucket}, and no project to make it in`,
    remedy: 'Check the name of the bucket; to make a new one, give gs.project or set GOOGLE_PROJECT_ID.',
  });
}
