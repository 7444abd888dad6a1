/**
 * Performs one run here, with the part of the configuration that came for it. Secrets stay in memory: they are what the
 * configuration's `{ env: … }` finds, and no program that is started gets them unless a driver gives them to it.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { HoldfastError } from '../base/errors.ts';
import { parseConfig } from '../config/index.ts';
import type { RunRecord } from '../model/run-record.ts';
import type { Execution, SourceAccess } from '../operations/operation.ts';
import { executeWith } from '../operations/runs/execute-run.ts';
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

/** What has to be done where the source is; everything else the server does itself. */
const kinds = ['backup', 'drill', 'restore'] as const;

/** What the server says of the run; fields it has beyond these are of no use here. */
const runFacts = z.object({
  repository: z.string().optional(),
  host: z.string(),
  policy: z.string().optional(),
  slotMs: z.number().optional(),
  retryOf: z.string().optional(),
  attempt: z.number(),
  input: z.record(z.string(), z.unknown()),
});

/** Names of variables that the server may set. */
const secretName = /^HOLDFAST_SECRET_\d+$/;

export function isKnownOperation(name: string): boolean {
  return (kinds as readonly string[]).includes(name);
}

/** What `executeWith` gives for the run. `usage.invalid`, `config.invalid`, and what the operation throws. */
export async function performOperation(request: Perform, uses: PerformUses): Promise<unknown> {
  const { parts, stateDirectory, clock, signal, report } = uses;
  const { bytes: _part, ...config } = parseConfig(
    join(agentDirectory(stateDirectory), 'holdfast.yaml'),
    Buffer.from(request.configuration),
    parts,
    { shown: `the configuration for ${request.source ?? request.operation}` },
  );
  const env = { ...ownPlaces(uses), ...Object.fromEntries(secretsOf(request)) };
  // Without its bytes: what a repository keeps as its owner's configuration is the whole one, from the server.
  const execute = executeWith(() => ({ ...parts, config, env }));
  return await execute(runOf(request, clock.nowMs()), { clock, signal, report });
}

function runOf({ runId, operation, source, input }: Perform, nowMs: number): RunRecord {
  const kind = kinds.find((one) => one === operation);
  const facts = runFacts.safeParse(input);
  if (!kind || !facts.success) throw unknownOperation(operation);
  const rest = { trigger: 'manual', state: 'running', askedBy: 'server', cancelRequested: false } as const;
  return { ...rest, ...facts.data, id: runId, kind, source, notBeforeMs: nowMs, queuedAtMs: nowMs, startedAtMs: nowMs };
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
    message: `this agent does not know how to perform «${name}» as the server asks for it`,
    remedy: 'Bring the agent to the version of the server.',
  });
}
