/** What an agent is sent for a run, and what is made of its answer. */
import { z } from 'zod';
import { HoldfastError } from '../../base/errors.ts';
import type { DueRun } from '../../catalogue/runs.ts';
import { performingHost, readSecret, type SourceEntry, sourcePart } from '../../config/index.ts';
import type { RunRecord } from '../../model/run-record.ts';
import type { SourceAccess } from '../../operations/operation.ts';
import type { Performed } from '../../runs/execute.ts';
import type { AgentWork } from './gate.ts';

/** Where a source is read and put back; everything else is done to repositories, and by the server. */
const kinds: ReadonlySet<string> = new Set(['backup', 'drill', 'restore']);

/** The entry of `hosts:` and the agent that perform a run; `undefined` for one that is performed here. */
export function agentOf(
  run: Pick<RunRecord, 'kind' | 'host'>,
  { config, hostKinds }: SourceAccess,
): { machine: string; agent: string } | undefined {
  if (!kinds.has(run.kind)) return undefined;
  const machine = performingHost(run.host, config.hosts, hostKinds);
  const entry = config.hosts.get(machine ?? '');
  return entry && { machine: entry.name, agent: (entry.settings as { agent: string }).agent };
}

/** The part of the configuration for it, with the values of its secrets. `config.unknown-name`, `secret.unavailable`. */
export async function workOf(run: RunRecord, access: SourceAccess, signal: AbortSignal): Promise<AgentWork> {
  const found = agentOf(run, access);
  const source = access.config.sources.get(run.source ?? '');
  if (!found || !source) throw undeclared(run, access);
  const { machine, agent } = found;
  const { input, others } =
    run.kind === 'restore' ? targetOf(run, source, { machine, access }) : { input: run.input, others: [] };
  const { text, secrets } = sourcePart(access.config, access, {
    sources: [source.name, ...others],
    machine,
    repositories: run.repository === undefined ? [] : [run.repository],
  });
  const values: Record<string, string> = {};
  for (const { variable, path, reference } of secrets) {
    const places = { env: access.env, signal, run: access.localHost().run };
    values[variable] = (await readSecret(reference, path, places)).reveal();
  }
  const { repository, policy, slotMs, retryOf, attempt } = run;
  const facts = { repository, policy, slotMs, retryOf, attempt, host: 'local', input };
  return { agent, operation: run.kind, input: facts, configuration: text, secrets: values };
}

/** A restore over there goes to a place over there: `NAME:/path` with the machine's own name, a path, or a source on it. */
function targetOf(
  { input }: RunRecord,
  source: SourceEntry,
  { machine, access }: { readonly machine: string; readonly access: SourceAccess },
): { input: RunRecord['input']; others: readonly string[] } {
  const { config, hostKinds } = access;
  const { to } = input;
  if (typeof to !== 'string') return { input, others: [] };
  const named = config.sources.get(to);
  if (named?.driver === source.driver && named.name !== source.name) {
    if (performingHost(named.host, config.hosts, hostKinds) === machine) return { input, others: [named.name] };
    throw elsewhere(to, machine);
  }
  const remote = /^([^/:]+):(\/.*)$/.exec(to);
  if (!remote || !config.hosts.has(remote[1])) return { input, others: [] };
  if (remote[1] !== machine) throw elsewhere(to, machine);
  return { input: { ...input, to: remote[2] }, others: [] };
}

const runError = z.object({ code: z.string(), message: z.string(), remedy: z.string() });
const performed = z.object({
  ok: z.boolean(),
  error: runError.extend({ retry: z.enum(['never', 'later', 'now']).optional().catch(undefined) }).optional(),
  leftOut: runError.optional(),
  result: z.unknown().optional(),
  bytes: z.number().optional().catch(undefined),
  addedBytes: z.number().optional().catch(undefined),
  snapshot: z.string().optional().catch(undefined),
  repository: z.string().optional().catch(undefined),
  next: z
    .array(z.object({ kind: z.string(), repository: z.string().optional() }))
    .optional()
    .catch(undefined),
});

/**
 * The agent's answer. Of what it says comes next only this run's own forgetting counts: an agent starts nothing else here; and
 * nothing but a drill can be left out.
 */
export function performedBy(run: RunRecord, output: unknown, { config }: SourceAccess): Performed {
  const read = performed.safeParse(output);
  if (!read.success) throw strangeAnswer();
  const { next = [], leftOut, repository: place = '', ...rest } = read.data;
  const places = new Set(config.sources.get(run.source ?? '')?.placements.map((one) => one.repository));
  const { source, host, policy, slotMs } = run;
  const forgets = next.flatMap(({ kind, repository }): DueRun[] => {
    if (kind !== 'forget' || run.kind !== 'backup' || repository === undefined || !places.has(repository)) return [];
    const about = { source, repository, host, policy, slotMs };
    return [{ kind, ...about, trigger: 'after', askedBy: 'schedule', slotKey: `forget/${run.id}/${repository}` }];
  });
  const ofDrill = { ...(leftOut ? { leftOut } : {}), ...(places.has(place) ? { repository: place } : {}) };
  return { ...rest, ...(run.kind === 'drill' ? ofDrill : {}), next: forgets };
}

function undeclared(run: RunRecord, { config }: SourceAccess): HoldfastError {
  return new HoldfastError({
    code: 'config.unknown-name',
    message: `the source «${run.source}» is not, or no longer, one that an agent performs in ${config.file}`,
    remedy: 'Declare it again, or leave it: nothing is lost of what was stored.',
  });
}

function elsewhere(to: string, machine: string): HoldfastError {
  return new HoldfastError({
    code: 'restore.target-invalid',
    message: `the agent on «${machine}» restores to its own machine, and «${to}» is on another one`,
    remedy: `Restore to a path over there (${machine}:/path), or let the server restore it: holdfast restore --to DIRECTORY.`,
  });
}

function strangeAnswer(): HoldfastError {
  return new HoldfastError({
    code: 'internal',
    message: 'the agent answered with something that is no result of a run',
    remedy: 'Bring the agent to the version of the server; see its log.',
  });
}
