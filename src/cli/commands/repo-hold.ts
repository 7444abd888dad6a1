import type { Command } from 'commander';
import { formatBytes } from '../../base/bytes.ts';
import type { HeldView, HoldOutput, RewindOutput } from '../../operations/repositories/repo-hold.ts';
import type { Face } from '../face.ts';
import { counted } from '../table.ts';

const operations = () => import('../../operations/repositories/repo-hold.ts');
const which = 'a name in holdfast.yaml';

/** `repo hold` and `repo rewind`. */
export function addHoldCommands(repo: Command, face: Face): void {
  repo
    .command('hold')
    .description('hold anew what is needed (Object Lock), free what was removed long enough ago; prune does it, too')
    .argument('<repository>', which)
    .option('--dry-run', 'say what would be done, change nothing')
    .action(async (repository: string, options: { dryRun?: boolean }) => {
      face.screen.makesProgress();
      const { repoHold } = await operations();
      await face.perform(repoHold, { repository, ...options }, await face.uses(repository), { text: describeHold });
    });
  repo
    .command('rewind')
    .description('bring everything back as it was at a moment, in a bucket that keeps versions; destroys nothing')
    .argument('<repository>', which)
    .requiredOption('--to <time>', 'for example 2026-11-20T03:00Z')
    .option('--dry-run', 'say what would be done, change nothing')
    .action(async (repository: string, options: { to: string; dryRun?: boolean }) => {
      face.screen.makesProgress();
      const { repoRewind } = await operations();
      await face.perform(repoRewind, { repository, ...options }, await face.uses(repository), { text: describeRewind });
    });
}

function describeHold(output: HoldOutput): string {
  return [output.dryRun ? 'nothing was changed; this would be done:' : '', ...heldLines(output)]
    .filter((line) => line !== '')
    .join('\n');
}

/** What was held anew and swept, in lines. */
export function heldLines(held: HeldView): string[] {
  const { objects, renewed, requests, sweptVersions, sweptBytes, leftVersions, leftBytes } = held;
  return [
    `✓ held: ${counted(objects, 'object')}, ${renewed} of them anew (${counted(requests, 'request')})`,
    `✓ gone for good: ${counted(sweptVersions, 'old version')} (${formatBytes(sweptBytes)})`,
    `  removed but still there: ${counted(leftVersions, 'old version')} (${formatBytes(leftBytes)}); they can be brought back, and go later`,
  ];
}

function describeRewind(output: RewindOutput): string {
  const [back, gone] = output.dryRun ? ['would come back', 'would be removed'] : ['came back', 'were removed'];
  return `✓ ${output.repository} as it was at ${output.to}: ${counted(output.broughtBack, 'object')} (${formatBytes(output.bytes)}) ${back}, ${output.removed} that came later ${gone}, ${output.unchanged} are as they were
  next: holdfast repo check ${output.repository} --read-data`;
}
