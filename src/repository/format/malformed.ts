/** What every decoder says of bytes that are not what they should be. */
import { HoldfastError } from '../../base/errors.ts';

/** `what`: the thing, with its article, e.g. `a tree`. */
export function malformed(what: string, why: string, cause?: unknown): HoldfastError {
  return new HoldfastError({
    code: 'repository.damaged',
    message: `${what} is malformed: ${why}`,
    remedy:
      'Run holdfast repo check to see what is affected; restore the file from another copy of the repository if there is one.',
    cause,
  });
}

/** What a newer program may have written on purpose. */
export function unsupported(message: string): HoldfastError {
  return new HoldfastError({
    code: 'repository.unsupported',
    message,
    remedy: 'Use a newer Holdfast, or the program that wrote it.',
  });
}
