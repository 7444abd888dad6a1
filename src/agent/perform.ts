/**
 * Performs one operation here, with the part of the configuration that came for it. Secrets stay in memory: they are what
 * the configuration's `{ env: … }` finds, and no program that is started gets them unless a driver gives them to it.
 */
import { join } from 'node:path';
import { HoldfastError } from '../base/errors.ts';
import { parseConfig } from '../config/index.ts';
import { backup } from '../operations/backup.ts';
import { drill } from '../operations/drill.ts';
import { forget } from '../operations/forget.ts';
import type { Execution, Operation, SourceAccess } from '../operations/operation.ts';
import { restore } from '../operations/restore.ts';
import { agentDirectory } from './identity.ts';
import type { Perform } from './protocol.ts';

/** What this program was built with. */
export type AgentParts = Omit<SourceAccess, 'config' | 'env'>;

export interface PerformUses extends Execution {
  readonly parts: AgentParts;
  readonly stateDirectory: string;
  /** Of this process: places of programs and caches, never secrets of the server's. */
  readonly env: SourceAccess['env'];
}

type AnyOperation = Operation<unknown, unknown, SourceAccess & Execution>;

const operations = new Map([backup, drill, restore, forget].map((one) => [one.name, one as unknown as AnyOperation]));

/** Names of variables that the server may set. */
const secretName = /^HOLDFAST_SECRET_\d+$/;

/** What the operation gives. `usage.invalid` for one this version does not know; `config.invalid`; and what the operation throws. */
export async function performOperation(request: Perform, uses: PerformUses): Promise<unknown> {
  const operation = operations.get(request.operation);
  if (!operation) throw unknownOperation(request.operation);
  const { parts, stateDirectory, clock, signal, report } = uses;
  const { bytes: _part, ...config } = parseConfig(
    join(agentDirectory(stateDirectory), 'holdfast.yaml'),
    Buffer.from(request.configuration),
    parts,
    { shown: `the configuration for ${request.source ?? request.operation}` },
  );
  const env = { ...ownPlaces(uses), ...Object.fromEntries(secretsOf(request)) };
  // Without its bytes: what the repository keeps as its owner's configuration is the whole one, from the server.
  const input = operation.input.parse(request.input);
  return await operation.run(input, { ...parts, config, env, clock, signal, report });
}

export function isKnownOperation(name: string): boolean {
  return operations.has(name);
}

function secretsOf({ secrets }: Perform): [string, string][] {
  const all = Object.entries(secrets);
  const strange = all.find(([name]) => !secretName.test(name));
  if (!strange) return all;
  throw new HoldfastError({
    code: 'usage.invalid',
    message: `the server sent a secret under the name ${strange[0]}`,
    remedy: 'Bring the server and this agent to the same version.',
  });
}

function ownPlaces({ env, stateDirectory }: PerformUses): Record<string, string | undefined> {
  const names = ['HOME', 'PATH', 'HOLDFAST_CACHE', 'XDG_CACHE_HOME', 'XDG_STATE_HOME', 'DOCKER_HOST', 'TMPDIR'];
  return { ...Object.fromEntries(names.map((name) => [name, env[name]])), HOLDFAST_STATE: stateDirectory };
}

function unknownOperation(name: string): HoldfastError {
  return new HoldfastError({
    code: 'usage.invalid',
    message: `this agent does not know the operation «${name}»`,
    remedy: 'Bring the agent to the version of the server.',
  });
}
