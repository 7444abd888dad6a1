/** What may be wrong with one object. */
import { HoldfastError } from '../../base/errors.ts';

export function objectMissing(name: string, location: string): HoldfastError {
  return new HoldfastError({
    code: 'storage.not-found',
    message: `there is no object ${name} in ${location}`,
    remedy: 'If it should be there, check the repository; something else, or a lifecycle rule, may have removed it.',
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

export function objectTooShort(name: string, location: string, end: number): HoldfastError {
  return new HoldfastError({
    code: 'storage.io',
    message: `the object ${name} in ${location} ends before byte ${end}, which was asked for`,
    remedy: 'Check the repository: the object is shorter than it should be.',
    context: { name, end },
  });
}

export function unexpectedReply(doing: string, location: string, why: string): HoldfastError {
  return new HoldfastError({
    code: 'storage.io',
    message: `cannot ${doing} in ${location}: ${why}`,
    remedy: 'The service does not do what S3 promises: check the endpoint, and that no proxy changes its answers.',
  });
}
