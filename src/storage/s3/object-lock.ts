/**
 * Object Lock: each object is stored with a time until which nobody can remove it for good (S3 User Guide, «Locking objects
 * with Object Lock»). Removing and replacing still work, but leave the version that is held, see `versions.ts`.
 */
import { type Clock, formatInstant, parseInstant } from '../../base/clock.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { ObjectRetention } from '../object-retention.ts';
import { textOf } from './replies.ts';
import { header } from './s3-errors.ts';
import type { S3Reply, S3Service } from './service.ts';
import type { S3Settings } from './settings.ts';

const dayMs = 86_400_000;
const untilHeader = 'x-amz-object-lock-retain-until-date';

export class ObjectLock implements ObjectRetention {
  readonly mode: 'compliance' | 'governance';
  readonly days: number;
  readonly #service: S3Service;
  readonly #clock: Clock;
  #ready: Promise<void> | undefined;

  constructor(service: S3Service, settings: NonNullable<S3Settings['objectLock']>, clock: Clock) {
    this.mode = settings.mode;
    this.days = settings.days;
    this.#service = service;
    this.#clock = clock;
  }

  /** To be sent when an object is made. */
  headers(): Record<string, string> {
    return { 'x-amz-object-lock-mode': this.mode.toUpperCase(), [untilHeader]: this.#until() };
  }

  requireReady(signal?: AbortSignal): Promise<void> {
    this.#ready ??= this.#look(signal).catch((error: unknown) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  async heldUntilMs(name: string, signal?: AbortSignal): Promise<number | undefined> {
    const key = this.#service.location.prefix + name;
    const doing = `see how long ${name} is held`;
    const reply = await this.#service.send({ doing, method: 'HEAD', key, signal, accept: [404] });
    return untilOf(reply);
  }

  async hold(name: string, signal?: AbortSignal): Promise<void> {
    const key = this.#service.location.prefix + name;
    const xml = `<Retention><Mode>${this.mode.toUpperCase()}</Mode><RetainUntilDate>${this.#until()}</RetainUntilDate></Retention>`;
    const doing = `hold ${name}`;
    const query = { retention: '' };
    const headers = { 'content-type': 'application/xml' };
    const body = [Buffer.from(xml, 'utf8')];
    await this.#service.send({ doing, method: 'PUT', key, query, headers, body, md5: true, signal });
  }

  /** Whole seconds: fractions are not understood everywhere. */
  #until(): string {
    return formatInstant(this.#clock.nowMs() + this.days * dayMs).replace(/\.\d+Z$/, 'Z');
  }

  async #look(signal?: AbortSignal): Promise<void> {
    const doing = 'see whether the bucket holds objects';
    const query = { 'object-lock': '' };
    const reply = await this.#service.send({ doing, method: 'GET', query, signal, accept: [400, 404, 405, 501] });
    const text = Buffer.from(reply.body).toString('utf8');
    if (reply.status < 300 && textOf(text, 'ObjectLockEnabled') === 'Enabled') return;
    const { bucket } = this.#service.location;
    throw new HoldfastError({
      code: 'storage.unprotected',
      message: `the bucket ${bucket} of ${this.#service.shown} has no Object Lock, which s3.objectLock asks for`,
      remedy:
        'Nothing was stored. Use a bucket that was made with Object Lock (holdfast repo init makes one if there is none of that name), switch it on in the service’s console, or take objectLock out of the settings.',
      context: { bucket },
    });
  }
}

/** As the answer to HEAD says it; not said to keys without the right to see it. */
export function untilOf(reply: S3Reply): number | undefined {
  const said = header(reply, untilHeader);
  return said === undefined ? undefined : parseInstant(said.replace(/\.\d+/, ''));
}
