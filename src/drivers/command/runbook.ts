/** What to do by hand with what a program printed. */
import { shellWord } from '../../base/shell-word.ts';
import type { NativeStep, RunbookWords, SnapshotContents } from '../driver.ts';
import { outputNode } from './output-node.ts';
import type { Settings } from './settings.ts';

export async function nativeSteps(contents: SnapshotContents): Promise<NativeStep[]> {
  const { path } = await outputNode(contents);
  return [
    {
      text: 'The file is what the program printed, byte for byte. Give it to the program that reads it («restore:» of the source in holdfast.yaml, if it has one).',
      command: `ls -l ${shellWord(`.${path}`)}`,
    },
  ];
}

export async function runbook(settings: Settings, _: SnapshotContents, place: string): Promise<RunbookWords> {
  const text =
    settings.restore === undefined
      ? 'There is no program that takes it back («restore:» of the source): restore the file and give it to the program it belongs to.'
      : `The bytes are given to: ${settings.restore.join(' ')}`;
  return {
    beside: {
      to: place,
      look: [{ text: 'It is what the program printed, byte for byte:', command: `ls -l ${place}` }],
    },
    before: [{ text }],
    look: [],
  };
}
