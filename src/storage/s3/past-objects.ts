/**
 * A bucket as it was at a moment: of each object the newest version that was stored by then, unless it had been removed. So a
 * repository can be read although everything in it was removed or replaced since.
 */
import { formatInstant } from '../../base/clock.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { ObjectVersion } from '../object-retention.ts';
import type { StoredObject } from '../storage.ts';
import type { S3Service } from './service.ts';
import { BucketVersions } from './versions.ts';

interface PastObject {
  readonly object: StoredObject;
  readonly versionId: string;
}

export class PastObjects {
  readonly #service: S3Service;
  readonly #atMs: number;
  #objects: Promise<ReadonlyMap<string, PastObject>> | undefined;

  constructor(service: S3Service, atMs: number) {
    this.#service = service;
    this.#atMs = atMs;
  }

  async find(name: string, signal?: AbortSignal): Promise<PastObject | undefined> {
    return (await this.#all(signal)).get(name);
  }

  async *list(folder: string, signal?: AbortSignal): AsyncGenerator<StoredObject> {
    for (const { object } of (await this.#all(signal)).values()) if (object.name.startsWith(`${folder}/`)) yield object;
  }

  refusal(doing: string): HoldfastError {
    return new HoldfastError({
      code: 'storage.denied',
      message: `cannot ${doing}: ${this.#service.shown} is read as it was at ${formatInstant(this.#atMs)} (s3.asOf)`,
      remedy:
        'Read and restore from it; to write, use an entry without asOf. holdfast repo rewind brings that state back.',
    });
  }

  /** Read once: the past does not change. Memory: about 300 bytes an object. */
  #all(signal?: AbortSignal): Promise<ReadonlyMap<string, PastObject>> {
    this.#objects ??= this.#read(signal).catch((error: unknown) => {
      this.#objects = undefined;
      throw error;
    });
    return this.#objects;
  }

  async #read(signal?: AbortSignal): Promise<ReadonlyMap<string, PastObject>> {
    const versions = new BucketVersions({ service: this.#service, headers: {} });
    await versions.requireVersions(signal);
    const objects = new Map<string, PastObject>();
    const seen = new Set<string>();
    for await (const version of versions.versions(signal)) {
      if (version.storedAtMs > this.#atMs || seen.has(version.name)) continue;
      seen.add(version.name);
      if (!version.isRemoval) objects.set(version.name, pastOf(version));
    }
    return objects;
  }
}

function pastOf({ name, sizeBytes, versionId }: ObjectVersion): PastObject {
  return { object: { name, sizeBytes }, versionId };
}
