/** How the server reads its own secrets. */
import type { ReadSecret } from '../base/secret-reference.ts';
import { readSecret } from '../config/index.ts';
import type { Execution, RepositoryAccess } from '../operations/operation.ts';

export function secretReader({ env, signal, localHost }: RepositoryAccess & Pick<Execution, 'signal'>): ReadSecret {
  return (reference, owner) =>
    readSecret(reference, owner, { env, signal, run: (command) => localHost().run(command) });
}
