/**
 * A folder on a WebDAV server as storage, in the layout of a directory. A put goes to a name of its own first and is then moved
 * to its place: until then nobody sees it. Whether a MOVE that replaces is one step is the server's business (README.md).
 */
import { equalBytes } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { HoldfastError, throwIfCancelled } from '../../base/errors.ts';
import type { HttpReply } from '../../protocols/http/exchange.ts';
import { type HttpObjects, type ReadRequest, readObject, readObjectInto } from '../http-reads.ts';
import { objectExists } from '../object-faults.ts';
import { checkObjectName, isObjectName } from '../object-name.ts';
import type { ByteRange, PutOptions, Storage, StoredObject } from '../storage.ts';
import { readFileSize, readFolder, removeEmpty } from './folders.ts';
import type { Member } from './multistatus.ts';
import type { WebdavServer } from './server.ts';
import { Temporaries } from './temporaries.ts';
import { askingOf, refusal } from './webdav-errors.ts';

/** Folders listed at once. */
const listedTogether = 8;
/** How often the folders an object belongs into are made before a refusal is taken for one. */
const mostRounds = 3;

interface Moving {
  readonly name: string;
  readonly temporary: string;
  readonly parts: readonly Uint8Array[];
  readonly mustNotExist: boolean;
  readonly signal?: AbortSignal;
}

export class WebdavStorage implements Storage, HttpObjects {
  readonly location: string;
  readonly #server: WebdavServer;
  readonly #clock: Clock;
  readonly #temporaries: Temporaries;
  /** The folder was seen: a missing object then means just that. */
  #seen = false;

  constructor(server: WebdavServer, clock: Clock) {
    this.location = server.place.shown;
    this.#server = server;
    this.#clock = clock;
    this.#temporaries = new Temporaries(server, clock);
  }

  /** Makes the folder, and those above it that are not there. */
  async create(): Promise<void> {
    const doing = 'make the folder';
    if ((await readFolder(this.#server, { name: '', doing })) !== undefined) return;
    const parts = this.#server.place.path.split('/').filter((part) => part !== '');
    for (const at of parts.keys()) await this.#makeFolder(`/${parts.slice(0, at + 1).join('/')}/`, doing);
    await this.#assertFolder();
  }

  async put(name: string, parts: readonly Uint8Array[], options: PutOptions = {}): Promise<void> {
    checkObjectName(name);
    const { mustNotExist = false, signal } = options;
    throwIfCancelled(signal);
    if (!mustNotExist) return await this.#store({ name, parts, mustNotExist, signal });
    await this.#temporaries.alone(name, signal, async () => {
      if ((await this.size(name, signal)) !== undefined) throw objectExists(name, this.location);
      await this.#store({ name, parts, mustNotExist, signal });
    });
  }

  async get(name: string, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    return await readObject(this, name, range, signal);
  }

  async getInto(name: string, offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void> {
    await readObjectInto(this, name, offset, into, signal);
  }

  async stat(name: string, signal?: AbortSignal): Promise<StoredObject | undefined> {
    checkObjectName(name);
    const sizeBytes = await this.size(name, signal);
    return sizeBytes === undefined ? undefined : { name, sizeBytes };
  }

  async size(name: string, signal?: AbortSignal): Promise<number | undefined> {
    const doing = `look at ${name}`;
    const { status, headers } = await this.#server.ask({ method: 'HEAD', name, doing, takes: [200, 404], signal });
    if (status === 404) return await this.#assertFolder(signal);
    const length = Number(headers['content-length'] ?? Number.NaN);
    // Apache does not say that an empty file is empty.
    return Number.isSafeInteger(length) ? length : await readFileSize(this.#server, { name, doing, signal });
  }

  async read(name: string, { headers, room, signal }: ReadRequest): Promise<HttpReply | undefined> {
    const takes = [200, 206, 404, 416];
    const asked = { method: 'GET', name, doing: `read ${name}`, headers, room, takes, signal } as const;
    const reply = await this.#server.ask(asked);
    return reply.status === 404 ? await this.#assertFolder(signal) : reply;
  }

  async *list(folder: string, signal?: AbortSignal): AsyncGenerator<StoredObject> {
    checkObjectName(folder);
    const doing = `list ${folder}`;
    if ((await readFolder(this.#server, { name: `${folder}/`, doing, signal })) === undefined) {
      await this.#assertFolder(signal);
      return;
    }
    const waiting = [folder];
    while (waiting.length > 0) {
      throwIfCancelled(signal);
      const together = waiting.splice(0, listedTogether);
      const found = await Promise.all(together.map((path) => this.#membersOf(path, doing, signal)));
      for (const { name, isFolder, sizeBytes } of found.flat()) {
        if (isFolder) waiting.push(name);
        else yield { name, sizeBytes };
      }
    }
  }

  async delete(name: string, signal?: AbortSignal): Promise<void> {
    checkObjectName(name);
    const takes = [200, 202, 204, 404];
    const { status } = await this.#server.ask({ method: 'DELETE', name, doing: `delete ${name}`, takes, signal });
    if (status === 404) await this.#assertFolder(signal);
  }

  async removeFolders(folder: string, signal?: AbortSignal): Promise<void> {
    checkObjectName(folder);
    await removeEmpty(this.#server, `${folder}/`, signal);
    await this.#temporaries.removeIfAlone(signal);
  }

  async close(): Promise<void> {
    await this.#server.close();
  }

  /** With their whole names; none if the folder is gone. */
  async #membersOf(path: string, doing: string, signal: AbortSignal | undefined): Promise<readonly Member[]> {
    const folder = await readFolder(this.#server, { name: `${path}/`, doing, signal });
    const members = folder?.members.map((member) => ({ ...member, name: `${path}/${member.name}` }));
    return members?.filter(({ name }) => isObjectName(name)) ?? []; // others are other programs'
  }

  async #store({ name, parts, mustNotExist, signal }: Omit<Moving, 'temporary'>): Promise<void> {
    const temporary = await this.#upload(name, parts, signal);
    try {
      await this.#move({ name, temporary, parts, mustNotExist, signal });
    } catch (error) {
      await this.#temporaries.discard(temporary);
      throw error;
    }
  }

  /** Gives the name under which the whole object is by now. */
  async #upload(name: string, parts: readonly Uint8Array[], signal: AbortSignal | undefined): Promise<string> {
    for (let attempt = 0; ; attempt++) {
      const temporary = await this.#temporaries.next(signal);
      const headers = { 'content-type': 'application/octet-stream' };
      const takes = attempt === 0 ? [200, 201, 204, 404, 409] : [200, 201, 204];
      const doing = `write ${name}`;
      const asked = { method: 'PUT', name: temporary, doing, headers, body: parts, takes, signal } as const;
      try {
        if ((await this.#server.ask(asked)).status < 300) return temporary;
      } catch (error) {
        await this.#temporaries.discard(temporary);
        throw error;
      }
      this.#temporaries.forget();
    }
  }

  /** Servers do not agree on what they say when the folder to move into is missing: then the folders are made. */
  async #move(moving: Moving): Promise<void> {
    const { name, temporary, mustNotExist, signal } = moving;
    const doing = `write ${name}`;
    const headers = { destination: this.#server.addressOf(name), overwrite: mustNotExist ? 'F' : 'T' };
    const takes = [200, 201, 204, 403, 404, 409, 412, 500];
    const asked = { method: 'MOVE', name: temporary, doing, headers, takes, signal, decisive: true } as const;
    const ask = async (): Promise<HttpReply | undefined> => {
      throwIfCancelled(signal);
      const reply = await this.#server.ask(asked);
      if (reply.status < 300) return undefined;
      if (reply.repeated && (await this.#happened(moving))) return undefined;
      if (reply.status === 412) throw objectExists(name, this.location);
      return reply;
    };
    const parents = name.split('/').slice(0, -1);
    for (let round = 0; ; round++) {
      const refused = await ask();
      if (!refused) return;
      if (round >= mostRounds) throw refusal(refused, askingOf(doing, this.location), this.#clock.nowMs());
      // Somebody may remove or make them at the same moment.
      if (round > 0) await this.#clock.sleep(round * 100, { signal });
      for (const at of parents.keys()) await this.#makeFolder(`${parents.slice(0, at + 1).join('/')}/`, doing);
    }
  }

  /** An earlier try, whose answer was lost, did it: what was to be moved is away, and is where it belongs. */
  async #happened({ name, temporary, parts }: Moving): Promise<boolean> {
    if ((await this.size(temporary)) !== undefined) return false;
    const length = parts.reduce((sum, part) => sum + part.byteLength, 0);
    if ((await this.size(name)) !== length) return false;
    const found = await this.get(name);
    let at = 0;
    return parts.every((part) => {
      at += part.byteLength;
      return equalBytes(found.subarray(at - part.byteLength, at), part);
    });
  }

  /** That it is there already is fine: what it is needed for says so if it is none. */
  async #makeFolder(name: string, doing: string): Promise<void> {
    const takes = [200, 201, 301, 403, 405, 409, 423];
    await this.#server.ask({ method: 'MKCOL', name, doing, takes });
  }

  /** `storage.not-found` if the folder itself is missing: its objects are then not just absent. Asked until it was seen. */
  async #assertFolder(signal?: AbortSignal): Promise<undefined> {
    if (this.#seen) return undefined;
    if ((await readFolder(this.#server, { name: '', doing: 'find the folder', signal })) === undefined) {
      throw new HoldfastError({
        code: 'storage.not-found',
        message: `there is no folder ${this.location}`,
        remedy: 'Check the path of the URL. A new repository, with its folder, is made by holdfast repo init.',
      });
    }
    this.#seen = true;
    return undefined;
  }
}
