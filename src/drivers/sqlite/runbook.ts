/** How to put a database back by hand. */
import { posix } from 'node:path';
import { shellWord } from '../../base/shell-word.ts';
import type { NativeStep, RunbookWords, SnapshotContents } from '../driver.ts';
import type { Settings } from './settings.ts';

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

export async function runbook({ path }: Settings, _: SnapshotContents, place: string): Promise<RunbookWords> {
  const check = (file: string): NativeStep => ({
    text: 'It says «ok» and nothing else:',
    command: `sqlite3 ${file} 'PRAGMA integrity_check'`,
  });
  return {
    beside: { to: `${place}.db`, look: [check(`${place}.db`)] },
    before: [
      { text: `Stop the program that uses ${path}. The database and its -wal and -shm files are replaced as one.` },
    ],
    look: [check(shellWord(path))],
  };
}
