/**
 * Objects that must be new. The service decides it (`If-None-Match: *`) where it can. Each is stored with a number of its
 * own, by which an answer that got lost is told from an object somebody else made.
 *
 * Services that do not know the condition either say so (501) or, worse, ignore it. So after the first success of a handle
 * the same object is stored once more on the same condition: who does not refuse that, ignores it. There, Holdfast looks
 * before it writes and looks again afterwards; two programs that begin within the same moment are told apart only by who
 * came last, which is said in docs/storage/s3.md.
 */
import { randomBytes } from 'node:crypto';
import { objectExists } from '../object-faults.ts';
import { writeConfirmed } from './confirm-write.ts';
import { header } from './s3-errors.ts';
import type { S3Reply, S3Service } from './service.ts';

interface ObjectPlace {
  readonly name: string;
  readonly key: string;
}

interface NewObjectOptions {
  /** Sent when an object is made. */
  readonly headers: () => Readonly<Record<string, string>>;
  readonly md5: boolean;
}

const markHeader = 'x-amz-meta-holdfast-put';
const onlyIfNew = { 'if-none-match': '*' };
/** A probe does not store more than this a second time. */
const probeBytes = 64 * 1024;

export class NewObjects {
  readonly #service: S3Service;
  readonly #options: NewObjectOptions;
  /** Whether the service heeds the condition; `undefined`: not known yet. */
  #conditional: boolean | undefined;

  constructor(service: S3Service, options: NewObjectOptions) {
    this.#service = service;
    this.#options = options;
  }

  async put(place: ObjectPlace, parts: readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
    const mark = randomBytes(16).toString('hex');
    if (this.#conditional === false) return await this.#putLooking(place, parts, mark, signal);
    // Until it is known that the service heeds the condition, it must not be given the chance to ignore it.
    if (this.#conditional === undefined) await this.#assertAbsent(place, signal);
    const reply = await this.#store(place, parts, { ...onlyIfNew, [markHeader]: mark }, signal);
    if (reply.status === 501) {
      this.#conditional = false;
      return await this.#putLooking(place, parts, mark, signal);
    }
    if (reply.status === 412) {
      if (reply.repeated && (await this.#markOf(place, signal)) === mark)
        return await this.#confirm(place, parts, mark, signal);
      throw objectExists(place.name, this.#service.shown);
    }
    await this.#confirm(place, parts, mark, signal);
    await this.#probe(place, parts, mark, signal);
  }

  /** What lies there must be ours, and all of it; what is ours but cut is written again, without a condition. */
  async #confirm(place: ObjectPlace, parts: readonly Uint8Array[], mark: string, signal?: AbortSignal): Promise<void> {
    const found = await this.#look(place, signal);
    const foundMark = header(found, markHeader);
    // A service that keeps no marks has decided by the condition.
    const isOurs = foundMark === mark || (foundMark === undefined && this.#conditional !== false);
    if (found.status !== 404 && !isOurs) throw objectExists(place.name, this.#service.shown);
    const sizeBytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
    if (found.status !== 404 && header(found, 'content-length') === String(sizeBytes)) return;
    const again = found.status === 404 ? { ...onlyIfNew, [markHeader]: mark } : { [markHeader]: mark };
    const write = async (): Promise<S3Reply> => {
      const reply = await this.#store(place, parts, again, signal);
      if (reply.status === 412) throw objectExists(place.name, this.#service.shown);
      return reply;
    };
    await writeConfirmed(this.#service, { ...place, sizeBytes }, write, signal);
  }

  /** Stores the same again, on the condition that it is not there. The object is stored already, so a failure here is none of the put: it is asked again with the next object. */
  async #probe(place: ObjectPlace, parts: readonly Uint8Array[], mark: string, signal?: AbortSignal): Promise<void> {
    const sizeBytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
    if (this.#conditional !== undefined || sizeBytes > probeBytes) return;
    const again = this.#store(place, parts, { ...onlyIfNew, [markHeader]: mark }, signal);
    this.#conditional = await again.then(
      ({ status }) => status === 412,
      () => undefined,
    );
  }

  async #putLooking(
    place: ObjectPlace,
    parts: readonly Uint8Array[],
    mark: string,
    signal?: AbortSignal,
  ): Promise<void> {
    await this.#assertAbsent(place, signal);
    await this.#store(place, parts, { [markHeader]: mark }, signal);
    await this.#confirm(place, parts, mark, signal);
  }

  async #assertAbsent(place: ObjectPlace, signal?: AbortSignal): Promise<void> {
    if ((await this.#look(place, signal)).status !== 404) throw objectExists(place.name, this.#service.shown);
  }

  #store(place: ObjectPlace, body: readonly Uint8Array[], headers: Record<string, string>, signal?: AbortSignal) {
    const { md5 } = this.#options;
    const all = { ...this.#options.headers(), ...headers };
    const accept = 'if-none-match' in headers ? [412, 501] : [];
    const { key, name } = place;
    return this.#service.send({
      doing: `write ${name}`,
      method: 'PUT',
      key,
      headers: all,
      body,
      md5,
      signal,
      decisive: true,
      accept,
    });
  }

  #look({ key, name }: ObjectPlace, signal?: AbortSignal): Promise<S3Reply> {
    return this.#service.send({ doing: `look at ${name}`, method: 'HEAD', key, signal, accept: [404] });
  }

  async #markOf(place: ObjectPlace, signal?: AbortSignal): Promise<string | undefined> {
    return header(await this.#look(place, signal), markHeader);
  }
}
