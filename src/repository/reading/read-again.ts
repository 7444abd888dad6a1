/**
 * Bytes that fail their check are read once more before they are called damaged: a bit may have flipped on the way, in a
 * cache or in memory, while what is stored is sound. What is damaged where it lies fails again.
 */
import { hasCode } from '../../base/errors.ts';

/** `read` reads from the storage and checks; it is called a second time after `repository.damaged`. */
export async function readAgainIfDamaged<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!hasCode(error, 'repository.damaged')) throw error;
  }
  return await read();
}
