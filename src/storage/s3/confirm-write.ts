/**
 * «Stored» is believed when the object can be seen: after each write the service is asked what lies there, at the price of
 * one HEAD. That finds a write that was acknowledged and lost, cut, or replaced by something of another length or tag. That
 * the right bytes reached the service is what the signed SHA-256 of the request is for; that they still lie there later is
 * what `repo check --read-data` looks at.
 */
import { HoldfastError, hasCode } from '../../base/errors.ts';
import { header } from './s3-errors.ts';
import type { S3Reply, S3Service } from './service.ts';

export interface WrittenObject {
  readonly name: string;
  readonly key: string;
  readonly sizeBytes: number;
}

/** Times one object is written before the service is given up. */
const mostWrites = 3;

/** Writes until what lies there is what was sent; `storage.io`, to be tried later, if it never is. */
export async function writeConfirmed(
  service: S3Service,
  object: WrittenObject,
  write: () => Promise<S3Reply>,
  signal?: AbortSignal,
): Promise<void> {
  for (let writes = 1; ; writes++) {
    const reply = await write();
    const fault = await faultOfWrite(service, object, header(reply, 'etag'), signal);
    if (fault === undefined) return;
    if (writes < mostWrites) continue;
    await removeTorn(service, object);
    throw notAsWritten(object.name, service.shown, fault);
  }
}

/** Tidies up what is not what was sent. What cannot be removed now is found by its hash later. */
async function removeTorn(service: S3Service, { name, key }: WrittenObject): Promise<void> {
  const doing = `remove a part of ${name}`;
  await service.send({ doing, method: 'DELETE', key, regardless: true, accept: [404] }).catch(() => undefined);
}

/** What is wrong with what lies there; `undefined`: nothing. */
async function faultOfWrite(
  service: S3Service,
  { name, key, sizeBytes }: WrittenObject,
  tag: string | undefined,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const look = { doing: `look at ${name}`, method: 'HEAD', key, accept: [404] } as const;
  const found = await service.send({ ...look, signal }).catch((error: unknown) => {
    // Written is written: whoever stops now is told so.
    if (hasCode(error, 'cancelled') || signal?.aborted) return service.send({ ...look, regardless: true });
    throw error;
  });
  if (found.status === 404) return 'it is not there';
  const length = header(found, 'content-length');
  if (length !== String(sizeBytes)) return `it has ${length ?? 'no'} bytes, not ${sizeBytes}`;
  const foundTag = header(found, 'etag');
  if (tag === undefined || foundTag === undefined || foundTag === tag) return undefined;
  return 'it has another tag than the service gave it';
}

function notAsWritten(name: string, location: string, fault: string): HoldfastError {
  return new HoldfastError({
    code: 'storage.io',
    message: `${location} says that ${name} was stored ${mostWrites} times, but ${fault}`,
    remedy:
      'The service acknowledges writes that it loses: look at its health and log, and at proxies before it. What was stored before is kept; run it again later.',
    retry: 'later',
    context: { name },
  });
}
