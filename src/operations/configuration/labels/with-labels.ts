/** The configuration of a command that runs without a server: with what labels declare, if the file asks for it. */
import { HoldfastError } from '../../../base/errors.ts';
import { type Config, type Known, parseConfig } from '../../../config/index.ts';
import type { SourceAccess } from '../../operation.ts';
import type { LabelReading } from '../config-store.ts';
import { readContainerLabels, readContainerSecret } from './read-containers.ts';

/** `known` with secrets of containers, which are read when they are needed. */
export function withContainerSecrets<Kinds extends Known>(
  known: Kinds,
  uses: Pick<SourceAccess, 'openContainers'>,
): Kinds & Known {
  const container = (name: string, variable: string) => readContainerSecret(uses, name, variable);
  return { ...known, secrets: { ...known.secrets, container } };
}

/**
 * What is wrong with labels, or that nobody can read them, is in `leftOut`: it keeps nobody from restoring what the file
 * declares.
 */
export async function withLabels(
  config: Config,
  known: Known,
  uses: Pick<SourceAccess, 'openContainers'>,
): Promise<Config> {
  if (!config.server.labels || config.bytes === undefined) return config;
  const { declared, problems } = await readContainerLabels(uses).catch(unread);
  const whole = parseConfig(config.file, config.bytes, withContainerSecrets(known, uses), { declared });
  return { ...whole, leftOut: [...problems, ...whole.leftOut] };
}

function unread(error: unknown): LabelReading {
  if (!(error instanceof HoldfastError) || error.code === 'cancelled') throw error;
  const { message, remedy } = error;
  return {
    declared: [],
    problems: [{ level: 'error', file: 'labels', line: 0, column: 0, path: '', message, remedy }],
  };
}
