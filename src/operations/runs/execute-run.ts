/**
 * A run is an operation performed with the run's input. What it gives becomes the run's result; one that ends with `ok: false`
 * is a failed run. After a backup, the policy's rules are applied to each repository that keeps by rules, as runs of their own.
 */
import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { type ErrorCode, HoldfastError, type Retry } from '../../base/errors.ts';
import type { DueRun } from '../../catalogue/runs.ts';
import type { RunError, RunKind, RunRecord } from '../../model/run-record.ts';
import { isAbsenceCode } from '../../policy/absence.ts';
import { isEmptyRetention } from '../../policy/retention.ts';
import type { Execute, Performed } from '../../runs/execute.ts';
import type { WindowRecords } from '../../runs/window/open-records.ts';
import { type BackupOutput, backup } from '../backup/backup.ts';
import { describeError } from '../describe-error.ts';
import type { Execution, SourceAccess } from '../operation.ts';
import { isAbsence } from '../repositories/absence.ts';
import { repoCheck, repoPrune } from '../repositories/repo.ts';
import { repoCopy } from '../repositories/repo-copy.ts';
import { type DrillOutput, drill } from '../snapshots/drill.ts';
import { forget } from '../snapshots/forget.ts';
import { restore } from '../snapshots/restore.ts';
import { snapshots } from '../snapshots/snapshots.ts';

type Uses = SourceAccess & Execution;

/** `access` is asked at the beginning of every run: it is then that a changed configuration counts. */
export function executeWith(access: () => SourceAccess, windows?: (run: RunRecord) => WindowRecords): Execute {
  return async (run, { clock, signal, report }) =>
    await performers[run.kind](run, { ...access(), clock, signal, report, windows: windows?.(run) });
}

const performers: Readonly<Record<RunKind, (run: RunRecord, uses: Uses) => Promise<Performed>>> = {
  backup: performBackup,
  copy: performCopy,
  forget: performForget,
  prune: performPrune,
  check: performCheck,
  drill: performDrill,
  restore: performRestore,
};

async function performBackup(run: RunRecord, uses: Uses): Promise<Performed> {
  const { repository } = run;
  const output = await backup.run(
    inputOf(backup, run, { sources: [requiredSource(run)], ...(repository === undefined ? {} : { repository }) }),
    uses,
  );
  const stored = output.results.find((one) => one.action === 'backup' && one.snapshot !== undefined);
  const failed = output.results.find((one) => !one.ok);
  const { bytes, addedBytes, snapshot } = stored ?? {};
  return {
    ok: output.ok,
    ...(output.ok ? {} : { error: withRetry(failed?.error ?? whyIncomplete(output)) }),
    result: output,
    ...{ bytes, addedBytes, snapshot },
    next: stored ? forgetRuns(run, output, uses) : [],
  };
}

/** Stored, but not wholly: what is missing is in the result. */
function whyIncomplete({ results, states }: BackupOutput): RunError {
  const unreadable = results.flatMap((one) => one.unreadable);
  if (unreadable.length > 0) {
    const [{ path, message }] = unreadable;
    const more = unreadable.length > 1 ? `, and ${unreadable.length - 1} more paths` : '';
    return {
      code: 'source.unreadable',
      message: `the snapshot is incomplete: ${path}: ${message}${more}`,
      remedy: 'Let Holdfast read these paths, or exclude them; what could be read is stored.',
    };
  }
  const left = results.flatMap((one) => one.window?.failures ?? []);
  if (left.length > 0) {
    return {
      code: 'host.command-failed',
      message: left[0],
      remedy: 'Look at the service at once; the snapshot is stored.',
    };
  }
  const away = results.find((one) => !one.ok && one.away)?.away;
  if (away)
    return {
      code: 'storage.unreachable',
      message: away.message,
      remedy: 'Connect it: what is missing is copied then.',
    };
  const state = states.find((one) => one.outcome === 'failed');
  return {
    code: 'internal',
    message: `the configuration could not be kept in ${state?.repository ?? 'a repository'}`,
    remedy: 'Its result says why; the snapshot is stored.',
  };
}

/** One for each repository that took something and keeps by rules. */
function forgetRuns(run: RunRecord, output: BackupOutput, { config }: Uses): DueRun[] {
  const source = config.sources.get(run.source ?? '');
  const taken = new Set(output.results.filter((one) => one.ok && !one.away).map((one) => one.repository));
  return (source?.placements ?? []).flatMap(({ repository, keep }): DueRun[] => {
    if (!keep || isEmptyRetention(keep) || !taken.has(repository)) return [];
    const { host, policy, slotMs } = run;
    const about = { source: run.source, repository, host, policy, slotMs };
    return [
      { kind: 'forget', ...about, trigger: 'after', askedBy: 'schedule', slotKey: `forget/${run.id}/${repository}` },
    ];
  });
}

async function performForget(run: RunRecord, uses: Uses): Promise<Performed> {
  const { source, repository } = run;
  const targets = source === undefined ? {} : { targets: [source] };
  try {
    const given = { ...targets, ...(repository === undefined ? {} : { repository }) };
    return { ok: true, result: await forget.run(inputOf(forget, run, given), uses) };
  } catch (error) {
    const mayBeAway = uses.config.repositories.get(repository ?? '')?.mayBeAwayMs !== undefined;
    if (!mayBeAway || !isAbsence(error)) throw error;
    uses.report({
      type: 'note',
      message: `${repository} is away: its rules are applied after the next backup that reaches it`,
    });
    return { ok: true, result: { away: true } };
  }
}

async function performPrune(run: RunRecord, uses: Uses): Promise<Performed> {
  const output = await repoPrune.run(inputOf(repoPrune, run, { repository: requiredRepository(run) }), uses);
  return { ok: true, result: output };
}

async function performCheck(run: RunRecord, uses: Uses): Promise<Performed> {
  const output = await repoCheck.run(inputOf(repoCheck, run, { repository: requiredRepository(run) }), uses);
  if (output.ok) return { ok: true, result: output };
  const [first] = output.errors;
  const more = output.errors.length + output.moreErrors - 1;
  const message = `${first.subject}: ${first.message}${more > 0 ? `, and ${more} more` : ''}`;
  return { ok: false, error: { code: 'repository.damaged', message, remedy: first.remedy }, result: output };
}

async function performCopy(run: RunRecord, uses: Uses): Promise<Performed> {
  const sources = run.source === undefined ? {} : { sources: [run.source] };
  const output = await repoCopy.run(inputOf(repoCopy, run, sources), uses);
  const { ok, failed, bytes, storedBytes } = output;
  const [first] = failed;
  const unkept = {
    code: 'internal',
    message: `the configuration could not be kept in ${output.to}`,
    remedy: 'Its result says why.',
  };
  return { ok, ...(ok ? {} : { error: withRetry(first ?? unkept) }), result: output, bytes, addedBytes: storedBytes };
}

async function performDrill(run: RunRecord, uses: Uses): Promise<Performed> {
  try {
    const performed = await drillFrom(run, uses);
    return (performed.error && leftOut(run, performed.error, uses)) ?? performed;
  } catch (error) {
    const without = leftOut(run, describeError(error), uses);
    if (without) return without;
    throw error;
  }
}

/** A disk that may be away, and is, at the time of a drill for which nobody named it. */
function leftOut(
  { source, repository, slotMs, input }: RunRecord,
  { code, message }: RunError,
  { config }: Uses,
): Performed | undefined {
  const place = repository ?? config.sources.get(source ?? '')?.placements[0]?.repository ?? '';
  const mayBeAway = config.repositories.get(place)?.mayBeAwayMs !== undefined;
  const isNamed = slotMs === undefined && input.mayBeAway !== true;
  if (!mayBeAway || isNamed || !isAbsenceCode(code)) return undefined;
  const remedy = 'Nothing needs to be done: what is in it is drilled at the next such time at which it is there.';
  const result: DrillOutput = {
    ok: true,
    results: [{ target: source ?? '', ok: true, repository: place, away: message }],
  };
  return { ok: false, leftOut: { code, message: `${place} is away: ${message}`, remedy }, result };
}

async function drillFrom(run: RunRecord, uses: Uses): Promise<Performed> {
  const { repository } = run;
  const { snapshot: chosen, ...input } = run.input;
  const target =
    chosen === 'random' ? await randomSnapshot(run, uses) : typeof chosen === 'string' ? chosen : requiredSource(run);
  const given = { targets: [target], ...(repository === undefined ? {} : { repository }) };
  const output = await drill.run(inputOf(drill, { ...run, input }, given), uses);
  const [result] = output.results;
  const { proof, repository: read } = result;
  const facts = { result: output, repository: read, bytes: proof?.restoredBytes, snapshot: proof?.snapshot };
  if (output.ok) return { ok: true, ...facts };
  const failed = proof?.checks.find((check) => !check.ok);
  const differs =
    failed && `${failed.subject}: ${failed.measure} is ${failed.found}, the backup recorded ${failed.expected}`;
  const error = result.error ?? {
    code: 'drill.failed',
    message: proof?.error?.message ?? differs ?? 'the restored copy is not what the backup recorded',
    remedy:
      proof?.error?.remedy ??
      'Do not rely on this snapshot: look at the checks in its proof, and back the source up again.',
  };
  return { ok: false, error: withRetry(error), ...facts };
}

/** The same one however often the run is repeated, as long as the list stays the same. */
async function randomSnapshot(run: RunRecord, uses: Uses): Promise<string> {
  const source = requiredSource(run);
  const { snapshots: found } = await snapshots.run({ source, repository: run.repository, all: false }, uses);
  if (found.length === 0) return source;
  const digest = createHash('sha256')
    .update(run.retryOf ?? run.id)
    .digest();
  return found[digest.readUInt32BE(0) % found.length].id;
}

async function performRestore(run: RunRecord, uses: Uses): Promise<Performed> {
  const { restore: _, snapshot, ...input } = run.input;
  const given = {
    snapshot: snapshot ?? requiredSource(run),
    ...(run.repository === undefined ? {} : { repository: run.repository }),
  };
  const output = await restore.run(inputOf(restore, { ...run, input }, given), uses);
  // Content that cannot be restored throws; what else could not be set is told.
  for (const message of output.problems)
    uses.report({ type: 'warning', code: 'restore.failed', message, subject: output.target });
  return { ok: true, result: output, bytes: output.bytes, snapshot: output.snapshot };
}

/** What the run says, with what its row says; `usage.invalid` if the operation does not take it (any more). */
function inputOf<Input>(
  operation: { readonly name: string; readonly input: z.ZodType<Input> },
  run: Pick<RunRecord, 'input'>,
  given: Readonly<Record<string, unknown>>,
): Input {
  const parsed = operation.input.safeParse({ ...run.input, ...given });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new HoldfastError({
    code: 'usage.invalid',
    message: `${operation.name}: ${issue.path.join('.')}: ${issue.message}`,
    remedy: 'Start it again with an input that the operation takes.',
  });
}

function requiredSource({ source, kind }: RunRecord): string {
  if (source !== undefined) return source;
  throw new HoldfastError({
    code: 'usage.invalid',
    message: `a ${kind} needs a source`,
    remedy: 'Name one that the configuration declares.',
  });
}

function requiredRepository({ repository, kind }: RunRecord): string {
  if (repository !== undefined) return repository;
  throw new HoldfastError({
    code: 'usage.invalid',
    message: `a ${kind} needs a repository`,
    remedy: 'Name one that the configuration declares.',
  });
}

/** What may go better a little later; results say their errors without it. */
const transient = new Set<string>([
  'storage.unreachable',
  'storage.io',
  'storage.full',
  'repository.locked',
  'repository.lock-lost',
  'host.unreachable',
  'source.busy',
  'source.changed',
  'agent.away',
  'run.conflict',
] satisfies ErrorCode[]);

function withRetry({ code, message, remedy }: RunError): RunError & { retry: Retry } {
  return { code, message, remedy, retry: transient.has(code) ? 'later' : 'never' };
}
