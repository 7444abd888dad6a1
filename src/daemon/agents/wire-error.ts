/** Errors as they come from an agent, which may be of another version. */
import type { WireError } from '../../agent/protocol.ts';
import { type ErrorCode, errorCatalogue, HoldfastError, type Retry } from '../../base/errors.ts';

/** Codes after which the same may go well a while later. */
const passing: ReadonlySet<string> = new Set([
  'storage.unreachable',
  'storage.io',
  'repository.locked',
  'repository.lock-lost',
  'source.busy',
  'source.changed',
  'host.unreachable',
  'run.conflict',
  'run.lost',
  'agent.away',
]);

/** A code that only the agent knows becomes `internal`; its words stay. */
export function errorOfWire({ code, message, remedy }: WireError, retry?: Retry): HoldfastError {
  const known = Object.hasOwn(errorCatalogue, code) ? (code as ErrorCode) : 'internal';
  return new HoldfastError({ code: known, message, remedy, retry: retry ?? (passing.has(code) ? 'later' : 'never') });
}
