/**
 * Versions of a bucket: what was removed or replaced, and putting it back. Removing leaves a mark («delete marker») that hides
 * the versions before it; a put hides them, too. Both leave them in place.
 */
import { HoldfastError, hasCode, throwIfCancelled } from '../../base/errors.ts';
import { isObjectName } from '../object-name.ts';
import type { ObjectHistory, ObjectVersion } from '../object-retention.ts';
import { escapePath } from './location.ts';
import type { ObjectLock } from './object-lock.ts';
import { textOf, type VersionPage, versionPageOf } from './replies.ts';
import { unexpectedReply } from './s3-errors.ts';
import type { S3Reply, S3Service } from './service.ts';

export interface VersionsOptions {
  readonly service: S3Service;
  /** Sent when a version is made. */
  readonly headers: Readonly<Record<string, string>>;
  /** Holds what is brought back. */
  readonly lock?: ObjectLock;
}

export class BucketVersions implements ObjectHistory {
  readonly #service: S3Service;
  readonly #options: VersionsOptions;

  constructor(options: VersionsOptions) {
    this.#service = options.service;
    this.#options = options;
  }

  async requireVersions(signal?: AbortSignal): Promise<void> {
    const doing = 'see whether the bucket keeps versions';
    const query = { versioning: '' };
    const reply = await this.#service.send({ doing, method: 'GET', query, signal, accept: [404, 405, 501] });
    // Suspended: what was kept until then still is.
    const status = textOf(Buffer.from(reply.body).toString('utf8'), 'Status') ?? '';
    if (reply.status < 300 && ['Enabled', 'Suspended'].includes(status)) return;
    throw new HoldfastError({
      code: 'storage.unprotected',
      message: `the bucket ${this.#service.location.bucket} of ${this.#service.shown} does not keep versions: what was removed or replaced is gone`,
      remedy: 'Switch versioning on for what comes; for what is gone use another copy of the repository.',
    });
  }

  /** Memory: a page of a thousand, and the versions of one object. */
  async *versions(signal?: AbortSignal): AsyncGenerator<ObjectVersion> {
    const { prefix } = this.#service.location;
    let group: ObjectVersion[] = [];
    for await (const { key, ...rest } of this.#entries(signal)) {
      const name = key.slice(prefix.length);
      if (!key.startsWith(prefix) || !isObjectName(name)) continue;
      if (group.length > 0 && group[0].name !== name) {
        yield* newestFirst(group);
        group = [];
      }
      group.push({ ...rest, name });
    }
    yield* newestFirst(group);
  }

  async bringBack({ name, versionId }: ObjectVersion, signal?: AbortSignal): Promise<void> {
    const { bucket, prefix } = this.#service.location;
    const key = prefix + name;
    const source = `/${bucket}/${escapePath(key)}?versionId=${encodeURIComponent(versionId)}`;
    const headers = { ...this.#options.headers, 'x-amz-copy-source': source };
    await this.#service.send({ doing: `bring ${name} back`, method: 'PUT', key, headers, signal, decisive: true });
    // Not with the copy: some services want a checksum of its body then, which it has none.
    await this.#options.lock?.hold(name, signal);
  }

  async removeVersion({ name, versionId }: ObjectVersion, signal?: AbortSignal): Promise<boolean> {
    const key = this.#service.location.prefix + name;
    const doing = `remove an old version of ${name}`;
    try {
      await this.#service.send({ doing, method: 'DELETE', key, query: { versionId }, signal, accept: [404] });
      return true;
    } catch (error) {
      if (hasCode(error, 'storage.denied')) return false;
      throw error;
    }
  }

  async *#entries(signal?: AbortSignal) {
    let markers: Record<string, string> | undefined = {};
    while (markers) {
      throwIfCancelled(signal);
      const page: VersionPage = await this.#page(markers, signal);
      yield* page.versions;
      markers = page.next;
    }
  }

  async #page(markers: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<VersionPage> {
    const doing = 'list versions';
    const { prefix } = this.#service.location;
    const query = { versions: '', 'encoding-type': 'url', prefix, ...markers };
    const whole = (reply: S3Reply): VersionPage => {
      const page = versionPageOf(Buffer.from(reply.body).toString('utf8'));
      if (page) return page;
      throw unexpectedReply(doing, this.#service.shown, 'the answer is no list of versions, or not all', 'later');
    };
    return whole(await this.#service.send({ doing, method: 'GET', query, signal, check: whole }));
  }
}

/** Services say times in whole seconds, and list marks apart from versions: the current one is first, whatever its time says. */
function newestFirst(group: readonly ObjectVersion[]): ObjectVersion[] {
  return group.toSorted((a, b) => Number(b.isCurrent) - Number(a.isCurrent) || b.storedAtMs - a.storedAtMs);
}
