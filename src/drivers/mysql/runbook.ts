/** How to load the databases by hand. */
import { shellWord } from '../../base/shell-word.ts';
import type { NativeStep, RunbookWords, SnapshotContents } from '../driver.ts';
import { accountsFile, databaseOf, dumpFolder } from './names.ts';
import type { Flavour } from './server.ts';
import { placeOf, type Settings } from './settings.ts';

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
    text: 'Accounts and grants, for an empty server: accounts that are there already keep their password and are given the grants too. What cannot be made is reported, so --force goes on:',
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

export async function runbook(settings: Settings, contents: SnapshotContents, flavour: Flavour): Promise<RunbookWords> {
  const names = (await contents.children(`/${dumpFolder}`)).map(({ name }) => databaseOf(name));
  const databases = names.filter((name) => name !== undefined);
  const { address, user } = placeOf(settings);
  const where =
    'socketPath' in address
      ? `--socket ${shellWord(address.socketPath)}`
      : `--host ${shellWord(address.host)} --port ${address.port}`;
  const tables = (database: string): NativeStep => ({
    text: `The tables of ${database}; the client asks for the password of ${user}:`,
    command: `${flavour} ${where} --user ${shellWord(user)} --password --execute ${shellWord(`SELECT table_name, table_rows FROM information_schema.tables WHERE table_schema = '${database.replace(/['\\]/g, '\\$&')}'`)}`,
  });
  const [only, ...more] = databases;
  const copy = `${only}_restored`;
  return {
    ...(only !== undefined && more.length === 0 ? { beside: { to: shellWord(copy), look: [tables(copy)] } } : {}),
    before: [
      {
        text: 'Stop what writes to the databases. Each is loaded beside the present one, which keeps serving until then and is kept aside under the name the restore says; «--include DATABASE» or DATABASE.TABLE restores a part.',
      },
    ],
    look: databases.slice(0, 5).map(tables),
  };
}
