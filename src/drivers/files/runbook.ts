/** How to put files back by hand. */
import { posix } from 'node:path';
import { shellWord } from '../../base/shell-word.ts';
import type { NativeStep, RunbookWords, SnapshotContents } from '../driver.ts';
import { type FilesSettings, normalPaths } from './settings.ts';

export async function nativeSteps(contents: SnapshotContents): Promise<NativeStep[]> {
  const intro: NativeStep = {
    text: 'The files are there with owners, rights and times (restore as root to get all of them). Copy back what you need; what is there already and newer is replaced.',
  };
  const copies = contents.paths.map(async (path): Promise<NativeStep> => {
    const node = await contents.node(path);
    return { text: `Back to ${path}:`, command: copyCommand(path, node?.type === 'dir') };
  });
  return [intro, ...(await Promise.all(copies))];
}

function copyCommand(path: string, isDirectory: boolean): string {
  const made = isDirectory ? path : posix.dirname(path);
  const from = isDirectory ? `.${path}/.` : `.${path}`;
  return `mkdir -p ${shellWord(made)} && cp -a ${shellWord(from)} ${shellWord(path)}`;
}

export async function runbook(settings: FilesSettings, _: SnapshotContents, place: string): Promise<RunbookWords> {
  const paths = normalPaths(settings);
  const listed = (prefix: string): string => `ls -ld ${paths.map((path) => prefix + shellWord(path)).join(' ')}`;
  return {
    beside: {
      to: place,
      look: [{ text: 'Everything is below that folder, each file at its old path:', command: listed(place) }],
    },
    before: [
      {
        text: 'Stop what writes to these files. Files that differ are replaced by those of the snapshot; files that are not in it stay. «--include PATTERN» restores a part, «--dry-run» says what would be done.',
      },
    ],
    look: [{ text: 'The files are there:', command: listed('') }],
  };
}
