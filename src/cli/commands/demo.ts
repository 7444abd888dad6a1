import type { Command } from 'commander';
import type { RunEvent } from '../../model/run.ts';
import type { DemoOutput } from '../../operations/demo/demo.ts';
import type { Face } from '../face.ts';
import { describeOne } from './drill.ts';

export function add(program: Command, face: Face): void {
  program
    .command('demo')
    .description('a live SQLite database is backed up while it is written to, restored and proven; about half a minute')
    .option('--keep', 'keep the folder (./holdfast-demo), to look around in it')
    .option('--folder <directory>', 'use this folder, which must not exist yet')
    .action(async (options: object) => {
      face.screen.makesProgress();
      const { demo } = await import('../../operations/demo/demo.ts');
      const [drivers, storageKinds, hostKinds, channelKinds, localHost] = await Promise.all([
        face.parts.drivers(),
        face.parts.storageKinds(),
        face.parts.hostKinds(),
        face.parts.channelKinds(),
        face.parts.localHost(),
      ]);
      const { openContainers } = face.parts;
      const uses = {
        drivers,
        storageKinds,
        hostKinds,
        channelKinds,
        localHost,
        openContainers,
        env: face.env,
        ...face.execution,
        report: teller(face),
      };
      await face.perform(demo, options, uses, { text: describe, wrong: (output) => !output.ok });
    });
}

/** Here the notes are the story. */
function teller(face: Face): (event: RunEvent) => void {
  return (event) => {
    if (event.type === 'note' && !face.screen.json) face.screen.say(event.message);
    else face.screen.report(event);
  };
}

function describe(output: DemoOutput): string {
  const config = `--config ${output.configFile}`;
  return [
    describeOne(output.drill),
    ...(output.drill.proof?.checks ?? []).map(
      (one) => `    ${one.ok ? '=' : '≠'} ${one.subject}: ${one.measure} ${shortened(one.found)}`,
    ),
    ...(output.restic
      ? []
      : ['(restic is not installed; with it, the same repository would now be checked by restic itself)']),
    '',
    ...(output.kept
      ? [
          `kept in ${output.folder}. Look around:`,
          `  holdfast ${config} snapshots`,
          `  holdfast ${config} ls bank@latest`,
          `  holdfast ${config} status`,
        ]
      : ['everything was removed again; --keep leaves it for a look around.']),
    'your own data:',
    '  holdfast init        finds databases on this machine and writes holdfast.yaml',
  ].join('\n');
}

/** A digest as far as a person compares it. */
function shortened(value: string): string {
  return /^[0-9a-f]{40,}$/.test(value) ? `${value.slice(0, 16)}…` : value;
}
