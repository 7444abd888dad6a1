/** How to put a database back by hand. */
import { posix } from 'node:path';
import { shellWord } from '../../base/shell-word.ts';
import type { NativeStep, SnapshotContents } from '../driver.ts';

export async function nativeSteps({ paths: [path] }: SnapshotContents): Promise<NativeStep[]> {
  const file = shellWord(path);
  const left = ['-wal', '-shm', '-journal'].map((end) => shellWord(`${path}${end}`)).join(' ');
  return [
    {
      text: 'The file is the whole database. Check it:',
      command: `sqlite3 ${shellWord(`.${path}`)} 'PRAGMA integrity_check'`,
    },
    {
      text: 'Stop the program that uses it. Then remove what is left of the old one, which would spoil the new one, and put it in place:',
    },
    {
      text: 'Its owner has to be the user the program runs as.',
      command: `mkdir -p ${shellWord(posix.dirname(path))} && rm -f ${left} && cp -a ${shellWord(`.${path}`)} ${file}`,
    },
  ];
}
