import type { Command } from 'commander';
import { formatBytes, formatDuration } from '../../base/bytes.ts';
import type { CheckOutput, PruneOutput, RepositoryList, StatsOutput } from '../../operations/repositories/repo.ts';
import type { Face } from '../face.ts';
import { byteCount, share, waitMs } from '../options.ts';
import { counted, facts, shortId, table } from '../table.ts';
import { addCopyCommand } from './repo-copy.ts';
import { addHoldCommands, heldLines } from './repo-hold.ts';
import { addKeyCommands } from './repo-key.ts';
import { addRecoveryKit } from './repo-recovery-kit.ts';
import { addRepairCommands } from './repo-repair.ts';

const operations = () => import('../../operations/repositories/repo.ts');
const which = 'a name in holdfast.yaml, or an address (its password in HOLDFAST_PASSWORD or HOLDFAST_PASSWORD_FILE)';

export function add(program: Command, face: Face): void {
  const repo = program.command('repo').description('make, check and tidy repositories');
  addMaking(repo, face);
  addChecking(repo, face);
  addTidying(repo, face);
  addCopyCommand(repo, face);
  addHoldCommands(repo, face);
  addRepairCommands(repo, face);
  addKeyCommands(repo, face);
  addRecoveryKit(repo, face);
}

function addMaking(repo: Command, face: Face): void {
  repo
    .command('init')
    .description('make a new repository; never over an existing one')
    .argument('<repository>', which)
    .option('--like <repository>', 'cut files in the same places: copies of it and backups then share their data')
    .action(async (repository: string, { like }: { like?: string }) => {
      const { repoInit } = await operations();
      await face.perform(repoInit, { repository, like }, await face.uses(repository), {
        text: (one) => `✓ made repository ${one.repository} at ${one.location} (id ${shortId(one.id)})`,
      });
    });
  repo
    .command('list')
    .description('list the declared repositories, or one with what is in it')
    .argument('[repository]', which)
    .action(async (repository: string | undefined) => {
      const { repoList } = await operations();
      await face.perform(repoList, { repository }, await face.uses(repository), { text: describeList });
    });
}

function addChecking(repo: Command, face: Face): void {
  repo
    .command('check')
    .description('check that every snapshot can be restored; changes nothing')
    .argument('<repository>', which)
    .option('--read-data', 'also read and verify every stored byte')
    .option('--read-data-subset <subset>', 'read that much: 1/7 (the first of seven parts), 10% or 5GiB at random')
    .option('--due', 'read what is due, so that all data is read within the time that «check: readAllWithin» gives')
    .action(async (repository: string, options: { readData?: boolean; readDataSubset?: string; due?: boolean }) => {
      face.screen.makesProgress();
      const { repoCheck } = await operations();
      const input = { repository, readData: options.readData, subset: options.readDataSubset, due: options.due };
      await face.perform(repoCheck, input, await face.uses(repository), {
        text: describeCheck,
        wrong: (output) => !output.ok,
      });
    });
  repo
    .command('stats')
    .description('what a repository holds and what it costs')
    .argument('<repository>', which)
    .action(async (repository: string) => {
      const { repoStats } = await operations();
      await face.perform(repoStats, { repository }, await face.uses(repository), { text: describeStats });
    });
}

interface PruneOptions {
  readonly dryRun?: boolean;
  readonly maxUnused?: number;
  readonly maxRepackSize?: number;
  readonly maxTime?: number;
}

function addTidying(repo: Command, face: Face): void {
  repo
    .command('prune')
    .description('free what no snapshot needs')
    .argument('<repository>', which)
    .option('--dry-run', 'say what would be freed, change nothing')
    .option('--max-unused <percent>', 'unused bytes that may stay, as a share of what remains', share)
    .option('--max-repack-size <bytes>', 'pack anew at most so much, for example 5GiB', byteCount)
    .option('--max-time <time>', 'begin no more after it, for example 2h; the next prune goes on', waitMs)
    .action(async (repository: string, options: PruneOptions) => {
      face.screen.makesProgress();
      const { repoPrune } = await operations();
      const { maxRepackSize: maxRepackBytes, maxTime: maxTimeMs } = options;
      const input = { repository, ...options, maxRepackBytes, maxTimeMs };
      await face.perform(repoPrune, input, await face.uses(repository), { text: describePrune });
    });
  repo
    .command('unlock')
    .description('remove locks of processes that are gone')
    .argument('<repository>', which)
    .option('--all', 'remove every lock; only if you are certain that nobody uses the repository')
    .action(async (repository: string, options: { all?: boolean }) => {
      const { repoUnlock } = await operations();
      await face.perform(repoUnlock, { repository, ...options }, await face.uses(repository), {
        text: (one) => `✓ ${counted(one.removed, 'lock')} removed, ${one.left} left`,
      });
    });
}

function describeList({ repositories }: RepositoryList): string {
  if (repositories.length !== 1 || repositories[0].id === undefined) {
    return table(repositories, [
      { title: 'NAME', value: (one) => one.name },
      { title: 'URL', value: (one) => one.url },
      { title: 'PASSWORD FROM', value: (one) => one.password },
    ]);
  }
  const [one] = repositories;
  const locks = one.locks?.map(
    (lock) =>
      `${lock.username}@${lock.hostname} pid ${lock.pid}${lock.exclusive ? ' exclusive' : ''}${lock.stale ? ' stale' : ''}`,
  );
  return facts([
    ['repository', one.name],
    ['url', one.url],
    ['id', one.id],
    ['format', String(one.version)],
    ['keys', String(one.keys)],
    ['snapshots', String(one.snapshots)],
    ['locks', locks?.length ? locks.join('; ') : 'none'],
  ]);
}

function describeCheck(output: CheckOutput): string {
  const { counts } = output;
  const faults = [
    ...output.errors.map((one) => `✗ ${one.message}\n    ${one.remedy}`),
    ...(output.moreErrors > 0 ? [`  … and ${output.moreErrors} more errors`] : []),
    ...output.warnings.map((one) => `! ${one.message}\n    ${one.remedy}`),
    ...(output.moreWarnings > 0 ? [`  … and ${output.moreWarnings} more warnings`] : []),
    ...output.affected.map(
      (one) =>
        `  snapshot ${shortId(one.snapshot)} of ${one.source ?? 'another program'} needs it for: ${one.paths.join(', ')}${one.more ? ', …' : ''}`,
    ),
  ];
  const seen = `${counted(counts.snapshots, 'snapshot')}, ${counted(counts.blobs, 'blob')} in ${counted(counts.packs, 'pack')}`;
  const read =
    counts.packsRead > 0
      ? `; ${formatBytes(counts.bytesRead)} of data read and verified`
      : '; data was not read (--read-data does)';
  const verdict = output.ok ? '✓ no errors' : `✗ ${counted(output.errors.length + output.moreErrors, 'error')}`;
  const { turn } = output;
  const late = turn?.overdue ? `, ${turn.overdue} of them overdue` : '';
  const inTurn = turn?.due === undefined ? [] : [`${turn.due} of ${turn.groups} parts of the data were due${late}`];
  return [...faults, ...inTurn, `${verdict}: ${seen}${read} · ${formatDuration(output.durationMs)}`].join('\n');
}

function describePrune(output: PruneOutput): string {
  const verb = output.dryRun ? 'would be freed' : output.held ? 'removed, freed later' : 'freed';
  const figures = facts([
    [verb, formatBytes(output.freedBytes)],
    ['packs removed', `${output.packsRemoved} of ${output.packsBefore}`],
    ['packs packed anew', `${output.packsRepacked} (${formatBytes(output.repackedBytes)})`],
    ['left for the next prune', output.packsLeft > 0 ? counted(output.packsLeft, 'pack') : undefined],
    ['unused bytes left', formatBytes(output.remainingUnusedBytes)],
  ]);
  return [figures, ...(output.held ? heldLines(output.held) : [])].join('\n');
}

function describeStats(output: StatsOutput): string {
  return facts([
    ['stored', formatBytes(output.storedBytes)],
    ['of that unused', formatBytes(output.unusedBytes)],
    ['snapshots', String(output.snapshots.length)],
    ['all of them restore to', formatBytes(output.restoreBytes)],
    ['deduplication', `${output.deduplication.toFixed(2)} : 1`],
    ['compression', `${output.compression.toFixed(2)} : 1`],
    ['blobs', `${output.blobs.data} of data, ${output.blobs.tree} trees`],
  ]);
}
