/**
 * A bucket, or a folder of one, as storage. An object's key is the prefix and its name: restic's layout. What S3 promises is
 * what the contract asks for: an object is there as a whole or not at all, and is seen by everybody once it was stored.
 */
import { hasCode, throwIfCancelled } from '../../base/errors.ts';
import type { HttpReplyHead } from '../../protocols/http/exchange.ts';
import { objectMissing, objectTooShort } from '../object-faults.ts';
import { checkObjectName, isObjectName } from '../object-name.ts';
import type { ObjectHistory, ObjectRetention } from '../object-retention.ts';
import type { ByteRange, PutOptions, Storage, StoredObject } from '../storage.ts';
import { writeConfirmed } from './confirm-write.ts';
import { putInParts, UploadSweep } from './multipart.ts';
import { NewObjects } from './new-objects.ts';
import type { ObjectLock } from './object-lock.ts';
import type { PastObjects } from './past-objects.ts';
import { type ListPage, listPageOf } from './replies.ts';
import { header, unexpectedReply } from './s3-errors.ts';
import type { S3Reply, S3Service } from './service.ts';
import { BucketVersions } from './versions.ts';

export interface S3StorageOptions {
  readonly service: S3Service;
  /** Larger bodies are sent in parts of this size. */
  readonly partBytes: number;
  /** Sent when an object is made: storage class, encryption. */
  readonly objectHeaders: Readonly<Record<string, string>>;
  readonly md5: boolean;
  readonly lock?: ObjectLock;
  /** Reads from older versions; then nothing is written. */
  readonly past?: PastObjects;
  /** Ends kept connections. */
  readonly close: () => void;
}

export class S3Storage implements Storage {
  readonly location: string;
  readonly parallelPuts = 4;
  readonly retention?: ObjectRetention;
  readonly history: ObjectHistory;
  readonly #service: S3Service;
  readonly #options: S3StorageOptions;
  readonly #newObjects: NewObjects;
  readonly #sweep: UploadSweep;
  /** The bucket was seen: a missing object then means just that. */
  #bucketSeen = false;

  constructor(options: S3StorageOptions) {
    this.location = options.service.shown;
    this.#service = options.service;
    this.#options = options;
    this.retention = options.lock;
    const { service } = options;
    const headers = (): Record<string, string> => ({ ...options.objectHeaders, ...options.lock?.headers() });
    this.history = new BucketVersions({ service, headers: options.objectHeaders, lock: options.lock });
    this.#newObjects = new NewObjects(service, { headers, md5: this.#needsMd5 });
    this.#sweep = new UploadSweep(options.service);
  }

  async put(
    name: string,
    parts: readonly Uint8Array[],
    { mustNotExist = false, passing = false, sha256, signal }: PutOptions = {},
  ): Promise<void> {
    checkObjectName(name);
    throwIfCancelled(signal);
    this.#refuseInPast(`write ${name}`);
    const { objectHeaders, partBytes } = this.#options;
    const lock = passing ? undefined : this.#options.lock;
    await lock?.requireReady(signal);
    const headers = { ...objectHeaders, ...lock?.headers() };
    const md5 = this.#needsMd5;
    const key = this.#key(name);
    if (mustNotExist) return await this.#newObjects.put({ name, key }, parts, signal);
    const doing = `write ${name}`;
    const sizeBytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
    const inParts = sizeBytes > partBytes;
    if (inParts) await this.#sweep.once(signal);
    const write = (): Promise<S3Reply> =>
      inParts
        ? putInParts(this.#service, { doing, key, parts, partBytes, headers, md5, signal })
        : this.#service.send({ doing, method: 'PUT', key, headers, body: parts, sha256, md5, signal, decisive: true });
    if (passing) await write();
    else await writeConfirmed(this.#service, { name, key, sizeBytes }, write, signal);
  }

  async get(name: string, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    if (range) {
      await this.#checkRange(name, range.offset, range.length, signal);
      if (range.length === 0) return new Uint8Array(0);
      return await this.#read(name, range.offset, range.length, () => Buffer.allocUnsafeSlow(range.length), signal);
    }
    checkObjectName(name);
    const room = ({ status, headers }: HttpReplyHead): Uint8Array | undefined => {
      const length = Number(headers['content-length'] ?? Number.NaN);
      return status === 200 && Number.isSafeInteger(length) ? Buffer.allocUnsafeSlow(length) : undefined;
    };
    const reply = await this.#fetch(name, { room, headers: {} }, signal);
    // Without a length a reply that was cut off could not be told from a whole one.
    if (header(reply, 'content-length') === undefined)
      throw unexpectedReply(`read ${name}`, this.location, 'no length came');
    return reply.body;
  }

  async getInto(name: string, offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void> {
    await this.#checkRange(name, offset, into.byteLength, signal);
    if (into.byteLength > 0) await this.#read(name, offset, into.byteLength, () => into, signal);
  }

  async stat(name: string, signal?: AbortSignal): Promise<StoredObject | undefined> {
    checkObjectName(name);
    throwIfCancelled(signal);
    const { past } = this.#options;
    if (past) return (await past.find(name, signal))?.object;
    const doing = `look at ${name}`;
    const key = this.#key(name);
    const reply = await this.#service.send({ doing, method: 'HEAD', key, signal, accept: [400, 403, 404] });
    if (reply.status === 404) {
      await this.#assertBucket(signal);
      return undefined;
    }
    // The answer to HEAD has no body, so a refusal does not say why; asked for a byte, the service says it.
    if (reply.status >= 300) {
      await this.#service.send({ doing, method: 'GET', key, headers: { range: 'bytes=0-0' }, signal, accept: [416] });
    }
    const sizeBytes = Number(header(reply, 'content-length') ?? Number.NaN);
    if (!Number.isSafeInteger(sizeBytes)) throw unexpectedReply(doing, this.location, 'no length came');
    this.#bucketSeen = true;
    return { name, sizeBytes };
  }

  async *list(folder: string, signal?: AbortSignal): AsyncGenerator<StoredObject> {
    checkObjectName(folder);
    const { past } = this.#options;
    if (past) return yield* past.list(folder, signal);
    const { prefix } = this.#service.location;
    const below = `${prefix}${folder}/`;
    let token: string | undefined;
    do {
      throwIfCancelled(signal);
      const page = await this.#listPage(folder, below, token, signal);
      for (const { key, sizeBytes } of page.objects) {
        const name = key.slice(prefix.length);
        if (key.startsWith(below) && isObjectName(name)) yield { name, sizeBytes };
      }
      token = page.next;
    } while (token !== undefined);
  }

  async delete(name: string, signal?: AbortSignal): Promise<void> {
    checkObjectName(name);
    throwIfCancelled(signal);
    this.#refuseInPast(`delete ${name}`);
    const doing = `delete ${name}`;
    const reply = await this.#service.send({ doing, method: 'DELETE', key: this.#key(name), signal, accept: [404] });
    if (reply.status === 404) await this.#assertBucket(signal);
  }

  async close(): Promise<void> {
    this.#options.close();
  }

  /** `next` is there as long as there are more pages. */
  async #listPage(folder: string, prefix: string, token: string | undefined, signal?: AbortSignal): Promise<ListPage> {
    const doing = `list ${folder}`;
    const first = { 'list-type': '2', 'encoding-type': 'url', prefix };
    const query = token === undefined ? first : { ...first, 'continuation-token': token };
    const whole = (reply: S3Reply): ListPage => {
      const page = listPageOf(textOfBody(reply));
      if (page) return page;
      throw unexpectedReply(doing, this.location, 'the answer is no list of objects, or not all', 'later');
    };
    const page = whole(await this.#service.send({ doing, method: 'GET', query, signal, check: whole }));
    this.#bucketSeen = true;
    if (!page.truncated) return { ...page, next: undefined };
    if (page.next !== undefined && page.next !== token) return page;
    throw unexpectedReply(doing, this.location, 'the list has more pages, but no way to the next one');
  }

  /** Fails with `storage.not-found` if there is no bucket: its objects are then not just absent. Asked once per handle. */
  async #assertBucket(signal?: AbortSignal): Promise<void> {
    if (this.#bucketSeen) return;
    const query = { 'list-type': '2', 'max-keys': '1', prefix: `${this.#service.location.prefix}config` };
    await this.#service.send({ doing: 'find the bucket', method: 'GET', query, signal });
    this.#bucketSeen = true;
  }

  /** Buckets that hold objects want it from whoever stores. */
  get #needsMd5(): boolean {
    return this.#options.md5 || this.#options.lock !== undefined;
  }

  #refuseInPast(doing: string): void {
    if (this.#options.past) throw this.#options.past.refusal(doing);
  }

  #key(name: string): string {
    return this.#service.location.prefix + name;
  }

  /** No bytes cannot be asked for by a range: then only whether the place is within the object is looked at. */
  async #checkRange(name: string, offset: number, length: number, signal?: AbortSignal): Promise<void> {
    checkObjectName(name);
    throwIfCancelled(signal);
    if (length > 0) return;
    const object = await this.stat(name, signal);
    if (!object) throw objectMissing(name, this.location);
    if (offset > object.sizeBytes) throw objectTooShort(name, this.location, offset);
  }

  async #read(name: string, offset: number, length: number, memory: () => Uint8Array, signal?: AbortSignal) {
    const end = offset + length;
    const room = (head: HttpReplyHead): Uint8Array | undefined => {
      const whole = head.status === 200 && offset === 0;
      if (head.status !== 206 && !whole) return undefined;
      this.#requireLength(name, head, { offset, end });
      return memory();
    };
    const reply = await this.#fetch(name, { room, headers: { range: `bytes=${offset}-${end - 1}` } }, signal);
    if (reply.status === 416) throw objectTooShort(name, this.location, end);
    if (reply.status === 206 && !isRange(reply.headers, offset, end)) {
      throw unexpectedReply(`read ${name}`, this.location, 'it sent another range than was asked for');
    }
    if (reply.body.byteLength !== length)
      throw unexpectedReply(`read ${name}`, this.location, 'it does not send ranges');
    return reply.body;
  }

  /** A shorter answer may be the object's fault, or come from being cut on the way; another range is the service's. */
  #requireLength(name: string, { status, headers }: HttpReplyHead, { offset, end }: { offset: number; end: number }) {
    const found = Number(headers['content-length'] ?? Number.NaN);
    if (found === end - offset) return;
    const doing = `read ${name}`;
    if (status !== 206 || !(found < end - offset))
      throw unexpectedReply(doing, this.location, 'it does not send ranges');
    if (!isRange(headers, offset, end)) throw objectTooShort(name, this.location, end);
    throw unexpectedReply(doing, this.location, 'the answer is cut', 'later');
  }

  async #versionOf(name: string, signal?: AbortSignal): Promise<Record<string, string> | undefined> {
    const { past } = this.#options;
    if (!past) return undefined;
    const found = await past.find(name, signal);
    if (!found) throw objectMissing(name, this.location);
    return { versionId: found.versionId };
  }

  async #fetch(
    name: string,
    how: { readonly room: (head: HttpReplyHead) => Uint8Array | undefined; readonly headers: Record<string, string> },
    signal?: AbortSignal,
  ): Promise<S3Reply> {
    throwIfCancelled(signal);
    const query = await this.#versionOf(name, signal);
    const request = {
      doing: `read ${name}`,
      method: 'GET',
      key: this.#key(name),
      query,
      signal,
      accept: [416],
      ...how,
    } as const;
    try {
      return await this.#service.send(request);
    } catch (error) {
      if (hasCode(error, 'storage.not-found') && error.context.serviceCode !== 'NoSuchBucket') {
        throw objectMissing(name, this.location);
      }
      throw error;
    }
  }
}

function isRange(headers: HttpReplyHead['headers'], offset: number, end: number): boolean {
  return headers['content-range']?.startsWith(`bytes ${offset}-${end - 1}/`) ?? false;
}

function textOfBody({ body }: S3Reply): string {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8');
}
