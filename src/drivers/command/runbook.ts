/** What to do by hand with what a program printed. */
import { shellWord } from '../../base/shell-word.ts';
import type { NativeStep, SnapshotContents } from '../driver.ts';
import { outputNode } from './output-node.ts';

export async function nativeSteps(contents: SnapshotContents): Promise<NativeStep[]> {
  const { path } = await outputNode(contents);
  return [
    {
      text: 'The file is what the program printed, byte for byte. Give it to the program that reads it («restore:» of the source in holdfast.yaml, if it has one).',
      command: `ls -l ${shellWord(`.${path}`)}`,
    },
  ];
}
