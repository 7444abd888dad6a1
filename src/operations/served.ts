/** The catalogue of a server that runs on this machine: it is kept up to date, and answers at once. */
import { hasCode } from '../base/errors.ts';
import type { Catalogue } from '../catalogue/open.ts';
import { listWorkers } from '../catalogue/workers.ts';
import { findLocalCatalogue } from './open-catalogue.ts';
import type { CatalogueAccess, Execution, RepositoryAccess } from './operation.ts';

/** Workers say that they are alive more often than this. */
const silentMs = 60_000;

/** `undefined` where none runs: what nobody keeps up to date says less than the repositories themselves. */
export async function findServedCatalogue(
  uses: RepositoryAccess & Execution,
): Promise<(CatalogueAccess & AsyncDisposable) | undefined> {
  const found = await findOrWarn(uses);
  if (!found || (await isServed(found.catalogue))) return found;
  await found[Symbol.asyncDispose]();
  return undefined;
}

/** The repositories can be asked also when the catalogue cannot. */
async function findOrWarn(uses: RepositoryAccess & Execution) {
  try {
    return await findLocalCatalogue(uses);
  } catch (error) {
    if (!hasCode(error, 'catalogue.unreachable', 'catalogue.newer', 'secret.unavailable')) throw error;
    const { code, message } = error;
    uses.report({ type: 'warning', code, message: `${message}: the repositories are asked instead` });
    return undefined;
  }
}

/** Whether a server or worker looks after the runs of a catalogue now. */
async function isServed(catalogue: Catalogue): Promise<boolean> {
  const nowMs = await catalogue.nowMs();
  return (await listWorkers(catalogue)).some((one) => one.seenAtMs >= nowMs - silentMs);
}
