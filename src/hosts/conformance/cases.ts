/** Every promise a host makes: run by the tests, and by operators against a machine of their own. */
import type { HostCase } from './case.ts';
import { fileCases } from './files.ts';
import { programCases } from './programs.ts';

export const hostCases: readonly HostCase[] = [...programCases, ...fileCases];
