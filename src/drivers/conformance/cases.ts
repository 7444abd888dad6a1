/** Every promise a driver makes: run by the tests, and by operators against a source of their own. */
import type { DriverCase } from './case.ts';
import { proofCases } from './proofs.ts';
import { storeCases } from './stores.ts';

export const driverCases: readonly DriverCase[] = [...storeCases, ...proofCases];
