/** What is said of a broken file to somebody who only wants to look. */
import { ConfigError } from '../../config/index.ts';

const remedy =
  'Correct the file, then check it with: holdfast validate. A server that runs goes on with the configuration from before, and answers: holdfast --server URL …';

/** The same error, with who knows all the same; any other error as it is. */
export function whileBroken(error: unknown, file: string): unknown {
  return error instanceof ConfigError ? new ConfigError(file, error.problems, remedy) : error;
}
