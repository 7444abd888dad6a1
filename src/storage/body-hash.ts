/** The hash of a body that is sent along, so that the service refuses one that was changed on its way. */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { throwIfCancelled } from '../base/errors.ts';

/** Between slices of this size others get their turn: 4 MiB are some 7 ms of hashing. */
const sliceBytes = 4 * 1024 * 1024;

/** MD5 of the concatenated parts, in base64. */
export async function md5Of(parts: readonly Uint8Array[], signal?: AbortSignal): Promise<string> {
  const hash = createHash('md5');
  let since = 0;
  for (const part of parts) {
    for (let at = 0; at < part.byteLength; at += sliceBytes) {
      const slice = part.subarray(at, at + sliceBytes);
      hash.update(slice);
      since += slice.byteLength;
      if (since < sliceBytes) continue;
      since = 0;
      await setImmediate();
      throwIfCancelled(signal);
    }
  }
  return hash.digest('base64');
}
