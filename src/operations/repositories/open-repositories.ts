/** Each repository is opened once per run; what failed to open fails everything that needs it. */
import { HoldfastError } from '../../base/errors.ts';
import type { Repository } from '../../repository/index.ts';
import type { Execution, RepositoryAccess } from '../operation.ts';
import { openNamed } from './repository-access.ts';

type Uses = RepositoryAccess & Execution;

export class OpenRepositories implements AsyncDisposable {
  readonly #uses: Uses;
  readonly #opened = new Map<string, Promise<Repository>>();

  constructor(uses: Uses) {
    this.#uses = uses;
  }

  get(name: string): Promise<Repository> {
    const known = this.#opened.get(name);
    if (known) return known;
    const opening = openNamed(name, this.#uses).then((named) => named.repository);
    this.#opened.set(name, opening);
    return opening;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const opening of this.#opened.values()) {
      const repository = await opening.catch((error: unknown) => {
        if (!(error instanceof HoldfastError)) throw error;
        return undefined;
      });
      await repository?.close();
    }
  }
}
