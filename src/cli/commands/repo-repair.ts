import type { Command } from 'commander';
import { formatBytes } from '../../base/bytes.ts';
import { printableName } from '../../base/names.ts';
import type { IndexRepair, PackRepair, SnapshotRepair } from '../../operations/repositories/repo-repair.ts';
import type { Face } from '../face.ts';
import { counted, shortId } from '../table.ts';

const operations = () => import('../../operations/repositories/repo-repair.ts');
const which = 'a name or an address';
const dryRun = ['--dry-run', 'say what would be done, change nothing'] as const;

/** `repo repair …`, and `repo heal`, the part of it that is needed most. */
export function addRepairCommands(repo: Command, face: Face): void {
  const repair = repo
    .command('repair')
    .description('put a damaged repository right: index, packs, snapshots, in this order');
  addIndex(repair.command('index'), face);
  addIndex(repo.command('repair-index'), face);
  addPacks(repair, face);
  addHeal(repo, face);
  addSnapshots(repair, face);
}

function addIndex(command: Command, face: Face): void {
  command
    .description('write the index anew from the packs; removes no data')
    .argument('<repository>', which)
    .option(...dryRun)
    .action(async (repository: string, options: { dryRun?: boolean }) => {
      face.screen.makesProgress();
      const { repoRepairIndex } = await operations();
      await face.perform(repoRepairIndex, { repository, ...options }, await face.uses(repository), {
        wrong: (output) => output.unreadable.length > 0,
        text: describeIndex,
      });
    });
}

interface PackOptions {
  readonly from?: string[];
  readonly alone?: boolean;
  readonly dryRun?: boolean;
}

function addPacks(repair: Command, face: Face): void {
  repair
    .command('packs')
    .description('save what opens in damaged packs, and fetch what is lost from other repositories')
    .argument('<repository>', which)
    .argument('[pack...]', 'packs to read, as check names them; all by default')
    .option(
      '--from <repository...>',
      'where to look for what is lost; by default the other repositories of the same sources',
    )
    .option('--alone', 'look in no other repository')
    .option(...dryRun)
    .action(async (repository: string, packs: string[], options: PackOptions) => {
      await performPacks(face, repository, { ...options, packs: packs.length > 0 ? packs : undefined });
    });
}

function addHeal(repo: Command, face: Face): void {
  repo
    .command('heal')
    .description(
      'fetch what snapshots need and this repository lost from other repositories, without reading all packs',
    )
    .argument('<repository>', which)
    .option('--from <repository...>', 'where to look; by default the other repositories of the same sources')
    .option(...dryRun)
    .action(async (repository: string, options: PackOptions) => {
      await performPacks(face, repository, { ...options, quick: true });
    });
}

async function performPacks(
  face: Face,
  repository: string,
  options: PackOptions & { readonly packs?: string[]; readonly quick?: boolean },
): Promise<void> {
  face.screen.makesProgress();
  const { repoRepairPacks } = await operations();
  await face.perform(repoRepairPacks, { repository, ...options }, await face.uses(repository), {
    wrong: (output) => output.missingBlobs > 0 || output.unreadableSnapshots.length > 0,
    text: describePacks,
  });
}

function addSnapshots(repair: Command, face: Face): void {
  repair
    .command('snapshots')
    .description('make new snapshots of all that can be read of those that lost something')
    .argument('<repository>', which)
    .argument('[snapshot...]', 'which; all by default')
    .option('--forget', 'remove the damaged ones once the new ones are stored, and those of which nothing is left')
    .option(...dryRun)
    .action(async (repository: string, snapshots: string[], options: { forget?: boolean; dryRun?: boolean }) => {
      face.screen.makesProgress();
      const { repoRepairSnapshots } = await operations();
      await face.perform(repoRepairSnapshots, { repository, snapshots, ...options }, await face.uses(repository), {
        wrong: (output) => output.unreadable.length + output.snapshots.length > 0,
        text: describeSnapshots,
      });
    });
}

function describeIndex(output: IndexRepair): string {
  const verb = output.dryRun ? 'would name' : 'names';
  return [
    ...output.found.map((one) => `found: ${one.message}`),
    ...output.unreadable.map((one) => `✗ ${one.message}\n    ${one.remedy}`),
    `the index ${verb} ${counted(output.blobs, 'blob')} in ${counted(output.packs, 'pack')}; before it led to ${output.blobsBefore}`,
  ].join('\n');
}

function describePacks(output: PackRepair): string {
  const would = output.dryRun ? 'would be ' : '';
  const lines = [
    ...output.indexFaults.map((one) => `found: ${one.message}`),
    ...output.damaged.flatMap((one) => [
      ...one.faults.map((message) => `found: ${message}`),
      `  ${counted(one.readable, 'blob')} in it can be read, ${one.unreadable} cannot`,
    ]),
    ...output.notAsked.map((one) => `! ${one.repository} could not be asked: ${one.message}`),
    ...output.unreadableSnapshots.map((one) => `✗ ${one.message}\n    ${one.remedy}`),
    `${counted(output.savedBlobs, 'blob')} (${formatBytes(output.savedBytes)}) ${would}saved from ${counted(output.damaged.length, 'damaged pack')}`,
    ...output.healed.map(
      (one) => `${counted(one.blobs, 'blob')} (${formatBytes(one.bytes)}) ${would}fetched from ${one.from}`,
    ),
    ...output.affected.map(
      (one) =>
        `  snapshot ${shortId(one.snapshot)} of ${one.source ?? 'another program'} lost: ${one.paths.map(printableName).join(', ')}${one.more ? ', …' : ''}`,
    ),
  ];
  const lost = output.missingBlobs;
  const verdict =
    lost === 0
      ? '✓ nothing that a snapshot needs is missing'
      : `✗ ${counted(lost, 'blob')} nobody has. Back those sources up again: what they still hold is stored anew. Then: holdfast repo repair snapshots ${output.repository} --forget`;
  return [...lines, verdict].join('\n');
}

function describeSnapshots(output: SnapshotRepair): string {
  const outcomes = {
    repaired: output.dryRun ? 'would be repaired' : 'was repaired',
    'repaired-before': 'was repaired before',
    'nothing-left': 'cannot be repaired: nothing of it can be read',
  };
  const snapshots = output.snapshots.flatMap((one) => {
    const as = one.repaired ? ` as ${shortId(one.repaired)}` : '';
    const stays = one.forgotten ? ' and removed' : '; the old one stays (--forget removes it)';
    return [
      `snapshot ${shortId(one.snapshot)} of ${one.source ?? 'another program'} ${outcomes[one.outcome]}${as}${output.dryRun ? '' : stays}`,
      ...one.losses.map((each) => `  lost: ${lossText(each)}`),
      ...(one.moreLosses > 0 ? [`  … and ${one.moreLosses} more`] : []),
    ];
  });
  const unreadable = output.unreadable.map((one) => `✗ ${one.message}\n    ${one.remedy}`);
  const verdict =
    output.snapshots.length + unreadable.length === 0
      ? `✓ all ${counted(output.checked, 'snapshot')} are whole`
      : `${output.snapshots.length} of ${counted(output.checked, 'snapshot')} lost something`;
  return [...unreadable, ...snapshots, verdict].join('\n');
}

function lossText({ path, kind, bytes, now, zeros }: SnapshotRepair['snapshots'][number]['losses'][number]): string {
  const shown = printableName(`/${path}`);
  if (kind === 'directory') return `all that was in the directory ${shown}`;
  if (kind === 'file') return `${shown} (${formatBytes(bytes ?? 0)})`;
  const rest = zeros ? 'with zeros in its place' : 'without it';
  return `${formatBytes(bytes ?? 0)} of ${shown}; the rest is ${printableName(`/${now}`)}, ${rest}`;
}
