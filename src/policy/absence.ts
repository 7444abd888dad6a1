/** Whether what was asked is not there at all: a disk that is not connected, a machine that sleeps. */
import type { ErrorCode } from '../base/errors.ts';

/** What a disk or server that is not there gives; not one that is there and refuses, or is damaged. */
export const absences = [
  'repository.missing',
  'storage.not-found',
  'storage.unreachable',
] as const satisfies readonly ErrorCode[];

export function isAbsenceCode(code: string): boolean {
  return absences.some((one) => one === code);
}
