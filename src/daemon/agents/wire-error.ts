/** Errors as they come from an agent, which may be of another version. */
import type { WireError } from '../../agent/protocol.ts';
import { type ErrorCode, errorCatalogue, HoldfastError } from '../../base/errors.ts';

/** A code that only the agent knows becomes `internal`; its words stay. */
export function errorOfWire({ code, message, remedy, retry = 'never' }: WireError): HoldfastError {
  const known = Object.hasOwn(errorCatalogue, code) ? (code as ErrorCode) : 'internal';
  return new HoldfastError({ code: known, message, remedy, retry });
}
