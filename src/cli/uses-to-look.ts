/** What a command uses that only looks: where the file is wrong, it says who knows all the same. */
import { hasCode } from '../base/errors.ts';
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
    if (!hasCode(error, 'config.invalid')) throw error;
    const { whileBroken } = await import('../operations/configuration/while-broken.ts');
    throw whileBroken(error, face.configFile);
  }
}
