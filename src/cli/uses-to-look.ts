/** What a command uses that only looks: where the file is wrong, it says who knows all the same. */
import { ConfigError } from '../config/index.ts';
import type { Execution, SourceAccess } from '../operations/operation.ts';
import type { Face } from './face.ts';

/**
 * A broken file is refused here, too: without it nobody knows what is declared, nor which catalogue is meant. What another one
 * says would pass for an answer.
 */
export async function usesToLook(face: Face): Promise<SourceAccess & Execution> {
  try {
    return await face.uses();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(
      face.configFile,
      error.problems,
      'Correct the file, then check it with: holdfast validate. A server that runs goes on with the configuration from before, and answers: holdfast --server URL …',
    );
  }
}
