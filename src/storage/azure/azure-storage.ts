/**
 * A container, or a folder of one, as storage. A blob's name is the prefix and the object's name: restic's layout. One Put Blob
 * stores an object as a whole or not at all, and everybody sees it from then on (the service is strongly consistent).
 */
import { randomBytes } from 'node:crypto';
import { throwIfCancelled } from '../../base/errors.ts';
import type { HttpReply } from '../../protocols/http/exchange.ts';
import { XmlError } from '../../protocols/xml/reader.ts';
import { md5Of } from '../body-hash.ts';
import { strangeAnswer } from '../http-faults.ts';
import { type HttpObjects, type ReadRequest, readObject, readObjectInto } from '../http-reads.ts';
import { escapePath, type HttpService, header } from '../http-service.ts';
import { objectExists } from '../object-faults.ts';
import { checkObjectName, isObjectName } from '../object-name.ts';
import type { ByteRange, PutOptions, Storage, StoredObject } from '../storage.ts';
import { codeOf, refusal } from './azure-errors.ts';
import { type BlobPage, readBlobPage } from './listing.ts';

export interface AzureStorageParts {
  readonly service: HttpService;
  /** Of the container, escaped, without a slash at its end. */
  readonly path: string;
  readonly prefix: string;
  readonly accessTier?: string;
  readonly nowMs: () => number;
}

/** By which an answer that got lost is told from an object somebody else made. */
const markHeader = 'x-ms-meta-holdfastput';

export class AzureStorage implements Storage, HttpObjects {
  readonly location: string;
  readonly #parts: AzureStorageParts;
  readonly #service: HttpService;

  constructor(parts: AzureStorageParts) {
    this.#parts = parts;
    this.#service = parts.service;
    this.location = parts.service.location;
  }

  /** Makes the container, if there is none. */
  async create(): Promise<void> {
    const { path } = this.#parts;
    const there = { restype: 'container', comp: 'list', maxresults: '1' };
    const found = { doing: 'find the container', method: 'GET', path, query: there, accept: [404] } as const;
    if ((await this.#service.send(found)).status !== 404) return;
    const query = { restype: 'container' };
    // 409: another program made it meanwhile.
    await this.#service.send({ doing: 'make the container', method: 'PUT', path, query, accept: [409] });
    await this.#service.send({ ...found, accept: [] });
  }

  async put(name: string, parts: readonly Uint8Array[], options: PutOptions = {}): Promise<void> {
    checkObjectName(name);
    const { mustNotExist = false, signal } = options;
    throwIfCancelled(signal);
    const doing = `write ${name}`;
    const mark = randomBytes(16).toString('hex');
    const { accessTier } = this.#parts;
    const headers = {
      'x-ms-blob-type': 'BlockBlob',
      'content-type': 'application/octet-stream',
      'content-md5': await md5Of(parts, signal),
      // Small objects are read often and would cost more in a cool tier than they save; restic does the same.
      ...(accessTier !== undefined && name.startsWith('data/') ? { 'x-ms-access-tier': accessTier } : {}),
      ...(mustNotExist ? { 'if-none-match': '*', [markHeader]: mark } : {}),
    };
    const accept = mustNotExist ? [409, 412] : [];
    const asked = { doing, method: 'PUT', path: this.#pathOf(name), headers, body: parts, accept, signal } as const;
    const reply = await this.#service.send({ ...asked, decisive: true });
    if (reply.status < 300) return;
    if (codeOf(reply) !== 'BlobAlreadyExists' && reply.status !== 412) throw this.#refusal(reply, doing);
    if (reply.repeated && header(await this.#look(name, signal), markHeader) === mark) return;
    throw objectExists(name, this.location);
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
    const reply = await this.#look(name, signal);
    if (this.#isAbsent(reply, `look at ${name}`)) return undefined;
    const length = Number(header(reply, 'content-length') ?? Number.NaN);
    if (Number.isSafeInteger(length)) return length;
    throw strangeAnswer(this.#service.asking(`look at ${name}`), 'no length came');
  }

  async read(name: string, request: ReadRequest): Promise<HttpReply | undefined> {
    const doing = `read ${name}`;
    const path = this.#pathOf(name);
    const reply = await this.#service.send({ doing, method: 'GET', path, accept: [404, 416], ...request });
    return this.#isAbsent(reply, doing) ? undefined : reply;
  }

  async *list(folder: string, signal?: AbortSignal): AsyncGenerator<StoredObject> {
    checkObjectName(folder);
    const { prefix } = this.#parts;
    const below = `${prefix}${folder}/`;
    let marker: string | undefined;
    do {
      throwIfCancelled(signal);
      const page = await this.#page(folder, below, marker, signal);
      for (const { name: blob, sizeBytes } of page.blobs) {
        const name = blob.slice(prefix.length);
        if (blob.startsWith(below) && isObjectName(name)) yield { name, sizeBytes };
      }
      marker = page.next;
    } while (marker !== undefined);
  }

  async delete(name: string, signal?: AbortSignal): Promise<void> {
    checkObjectName(name);
    throwIfCancelled(signal);
    const doing = `delete ${name}`;
    const headers = { 'x-ms-delete-snapshots': 'include' };
    const path = this.#pathOf(name);
    const reply = await this.#service.send({ doing, method: 'DELETE', path, headers, accept: [404], signal });
    this.#isAbsent(reply, doing);
  }

  async close(): Promise<void> {
    await this.#service.close();
  }

  async #page(folder: string, prefix: string, marker: string | undefined, signal?: AbortSignal): Promise<BlobPage> {
    const doing = `list ${folder}`;
    const query = { restype: 'container', comp: 'list', prefix, ...(marker === undefined ? {} : { marker }) };
    const { body } = await this.#service.send({ doing, method: 'GET', path: this.#parts.path, query, signal });
    try {
      const page = readBlobPage(Buffer.from(body).toString('utf8'));
      if (page.next === undefined || page.next !== marker) return page;
    } catch (error) {
      if (!(error instanceof XmlError)) throw error;
      throw strangeAnswer(this.#service.asking(doing), `the list is not understood: ${error.message}`);
    }
    throw strangeAnswer(this.#service.asking(doing), 'the list has more pages, but no way to the next one');
  }

  #look(name: string, signal?: AbortSignal) {
    const path = this.#pathOf(name);
    return this.#service.send({ doing: `look at ${name}`, method: 'HEAD', path, accept: [404], signal });
  }

  /** A missing container is none of a missing blob: it is thrown. */
  #isAbsent(reply: HttpReply, doing: string): boolean {
    if (reply.status !== 404) return false;
    if (codeOf(reply) === 'BlobNotFound' || codeOf(reply) === 'ResourceNotFound') return true;
    throw this.#refusal(reply, doing);
  }

  #refusal(reply: HttpReply, doing: string) {
    return refusal(reply, this.#service.asking(doing), this.#parts.nowMs());
  }

  #pathOf(name: string): string {
    return `${this.#parts.path}/${escapePath(this.#parts.prefix + name)}`;
  }
}
