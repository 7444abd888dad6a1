/** How to load the databases by hand. */
import { shellWord } from '../../base/shell-word.ts';
import type { NativeStep, SnapshotContents } from '../driver.ts';
import { accountsFile, databaseOf, dumpFolder } from './names.ts';
import type { Flavour } from './server.ts';

export async function nativeSteps(contents: SnapshotContents, flavour: Flavour): Promise<NativeStep[]> {
  const client = `${flavour} --default-character-set=utf8mb4 --comments`;
  const names = (await contents.children(`/${dumpFolder}`)).map(({ name }) => name);
  const file = (name: string): string => shellWord(`./${dumpFolder}/${name}`);
  const dumps = names.flatMap((name): NativeStep[] => {
    const database = databaseOf(name);
    if (database === undefined) return [];
    return [{ text: `Database ${database}; it is made if it is not there:`, command: `${client} < ${file(name)}` }];
  });
  const accounts: NativeStep = {
    text: 'Accounts and grants; those that exist already are reported, so --force goes on:',
    command: `${client} --force < ${file(accountsFile)}`,
  };
  return [
    {
      text: `Start an empty server of the same series. The client finds it as usual (~/.my.cnf, or options like -h and -u added to each line), as a user with all rights. A database of the same name has to be renamed or dropped first.`,
    },
    ...dumps,
    ...(names.includes(accountsFile) ? [accounts] : []),
  ];
}
