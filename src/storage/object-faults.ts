/** What may be wrong with one object, whatever the storage. `location` is the storage's. */
import { HoldfastError } from '../base/errors.ts';

export function objectMissing(name: string, location: string): HoldfastError {
  return new HoldfastError({
    code: 'storage.not-found',
    message: `there is no object ${name} in ${location}`,
    remedy: 'If it should be there, check the repository; something else may have removed it.',
    context: { name },
  });
}

export function objectExists(name: string, location: string): HoldfastError {
  return new HoldfastError({
    code: 'storage.exists',
    message: `the object ${name} exists in ${location} already`,
    remedy: 'It was kept as it is. Use another place or name, or delete it first.',
    context: { name },
  });
}

/** `end`: the first byte after what was asked for. */
export function objectTooShort(name: string, location: string, end: number): HoldfastError {
  return new HoldfastError({
    code: 'storage.io',
    message: `the object ${name} in ${location} ends before byte ${end}, and bytes up to there were asked for`,
    remedy: 'Check the repository: the object is shorter than it should be.',
    context: { name, end },
  });
}
