/**
 * Objects of a REST server by their path (restic's `doc/REST_backend.rst`, version 2): POST, GET, HEAD, DELETE, and lists with sizes.
 */
import { equalBytes } from '../../base/bytes.ts';
import { hasCode } from '../../base/errors.ts';
import type { HttpReplyHead } from '../../protocols/http/exchange.ts';
import { objectExists, objectMissing, objectTooShort } from '../object-faults.ts';
import type { ByteRange } from '../storage.ts';
import { badAnswer } from './rest-errors.ts';
import type { RestRequest, RestServer } from './server.ts';

/** What to ask for, and how it is called in messages. */
export interface Target {
  readonly path: string;
  readonly name: string;
  readonly signal?: AbortSignal;
}

const listType = 'application/vnd.x.restic.rest.v2';

export class RestObjects {
  readonly #server: RestServer;

  constructor(server: RestServer) {
    this.#server = server;
  }

  /** Makes the folders of a repository; existing ones are fine. */
  async create(path: string, doing: string): Promise<void> {
    await this.#ask({ method: 'POST', path: `${path}?create=true`, doing, takes: [200, 201, 204] });
  }

  async size({ path, name, signal }: Target): Promise<number | undefined> {
    const doing = `look at ${name}`;
    const { status, headers } = await this.#ask({ method: 'HEAD', path, doing, takes: [200, 404], signal });
    if (status === 404) return undefined;
    const length = headers['content-length'];
    if (length === undefined) throw badAnswer(doing, this.#shown, 'the answer has no Content-Length');
    return Number(length);
  }

  /** All bytes, into memory of their own. */
  async get({ path, name, signal }: Target): Promise<Uint8Array> {
    const room = ({ status, headers }: HttpReplyHead): Uint8Array | undefined => {
      const length = headers['content-length'];
      return status === 200 && length !== undefined ? Buffer.allocUnsafeSlow(Number(length)) : undefined;
    };
    const asked = { method: 'GET', path, doing: `read ${name}`, takes: [200, 404], room, signal } as const;
    const { status, body } = await this.#ask(asked);
    if (status === 404) throw objectMissing(name, this.#shown);
    return body;
  }

  /** Fills `into` from `offset`; never fewer bytes. */
  async getInto({ path, name, signal }: Target, offset: number, into: Uint8Array): Promise<void> {
    const end = offset + into.byteLength;
    if (into.byteLength === 0) {
      const size = await this.size({ path, name, signal });
      if (size === undefined) throw objectMissing(name, this.#shown);
      if (end > size) throw objectTooShort(name, this.#shown, end);
      return;
    }
    const room = ({ status, headers }: HttpReplyHead): Uint8Array | undefined =>
      status === 206 && headers['content-length'] === String(into.byteLength) ? into : undefined;
    const headers = { range: `bytes=${offset}-${end - 1}` };
    const asked = {
      method: 'GET',
      path,
      doing: `read ${name}`,
      takes: [200, 206, 404, 416],
      headers,
      room,
      signal,
    } as const;
    const { status, body } = await this.#ask(asked);
    if (status === 404) throw objectMissing(name, this.#shown);
    if (body === into) return;
    // a server that does not know ranges gives everything
    const found = status === 200 ? body.subarray(offset, end) : body;
    if (status === 416 || found.byteLength < into.byteLength) throw objectTooShort(name, this.#shown, end);
    into.set(found.subarray(0, into.byteLength));
  }

  /** The range in memory of its own. A length out of a damaged index may be anything: the object's size is asked first. */
  async getRange(target: Target, { offset, length }: ByteRange): Promise<Uint8Array> {
    const end = offset + length;
    if (length > 1 << 20) {
      const size = await this.size(target);
      if (size !== undefined && end > size) throw objectTooShort(target.name, this.#shown, end);
    }
    const into = Buffer.allocUnsafeSlow(length);
    await this.getInto(target, offset, into);
    return into;
  }

  /**
   * Stores. Servers differ in what they do when the object is there: restic's refuses (403), rclone's replaces it. So the
   * protocol itself cannot create «only if absent»: it is looked up first, and a refusal afterwards is `storage.exists`.
   */
  async post(target: Target, body: readonly Uint8Array[], mustNotExist: boolean): Promise<void> {
    const { path, name, signal } = target;
    if (mustNotExist && (await this.size(target)) !== undefined) throw objectExists(name, this.#shown);
    try {
      const happened = (): Promise<boolean> => this.#holds(target, body);
      const headers = { 'content-type': 'application/octet-stream' };
      const asked = {
        method: 'POST',
        path,
        doing: `write ${name}`,
        takes: [200, 201, 204],
        headers,
        body,
        signal,
      } as const;
      await this.#server.ask({ ...asked, happened });
    } catch (error) {
      if (!hasCode(error, 'storage.denied') || error.context.status !== 403) throw error;
      if (mustNotExist && (await this.size(target)) !== undefined) throw objectExists(name, this.#shown);
      if (mustNotExist || !(await this.#holds(target, body))) throw error;
    }
  }

  async delete({ path, name, signal }: Target): Promise<void> {
    await this.#ask({ method: 'DELETE', path, doing: `delete ${name}`, takes: [200, 202, 204, 404], signal });
  }

  /** Names and sizes in a folder; none if there is no such folder. */
  async list({ path, name, signal }: Target): Promise<Map<string, number>> {
    const doing = `list ${name}`;
    const headers = { accept: listType };
    const reply = await this.#ask({ method: 'GET', path, doing, takes: [200, 404], headers, signal });
    if (reply.status === 404) return new Map();
    if (reply.headers['content-type'] !== listType) {
      throw badAnswer(doing, this.#shown, 'the server has no lists with sizes (version 2 of the protocol)');
    }
    const entries: unknown = parsed(reply.body);
    if (entries === null) return new Map();
    if (!Array.isArray(entries)) throw badAnswer(doing, this.#shown, 'the answer is no list');
    // An object that is left out of a list would be taken for lost.
    if (!entries.every(isEntry)) throw badAnswer(doing, this.#shown, 'the list has an entry without name or size');
    return new Map(entries.map(({ name, size }) => [name, size]));
  }

  get #shown(): string {
    return this.#server.place.shown;
  }

  async #ask(request: Omit<RestRequest, 'happened'>) {
    const reply = await this.#server.ask(request);
    if (!reply) throw badAnswer(request.doing, this.#shown, 'nothing was asked');
    return reply;
  }

  /** True if the object is there with these bytes. */
  async #holds(target: Target, body: readonly Uint8Array[]): Promise<boolean> {
    const length = body.reduce((sum, part) => sum + part.byteLength, 0);
    if ((await this.size(target)) !== length) return false;
    const found = await this.get(target);
    let at = 0;
    return body.every((part) => {
      at += part.byteLength;
      return equalBytes(found.subarray(at - part.byteLength, at), part);
    });
  }
}

function parsed(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    return undefined;
  }
}

function isEntry(entry: unknown): entry is { name: string; size: number } {
  if (typeof entry !== 'object' || entry === null || !('name' in entry) || !('size' in entry)) return false;
  return typeof entry.name === 'string' && typeof entry.size === 'number';
}
