import type { Command } from 'commander';
import type { Face } from '../face.ts';
import { shortId, table } from '../table.ts';

const operations = () => import('../../operations/repo-key.ts');
const newPasswordFile = ['--new-password-file <file>', 'the file that holds the new password'] as const;
const newPasswordEnv = ['--new-password-env <name>', 'the environment variable that holds the new password'] as const;

/** `repo key …` and `repo passwd`. */
export function addKeyCommands(repo: Command, face: Face): void {
  const key = repo.command('key').description('several passwords for one repository');
  key
    .command('list')
    .description('list the keys')
    .argument('<repository>', 'a name or an address')
    .action(async (repository: string) => {
      const { keyList } = await operations();
      await face.perform(keyList, { repository }, await face.uses(repository), {
        text: ({ keys }) =>
          table(keys, [
            { title: '', value: (one) => (one.current ? '*' : '') },
            { title: 'ID', value: (one) => shortId(one.id) },
            { title: 'CREATED', value: (one) => one.created.slice(0, 19).replace('T', ' ') },
            { title: 'USER', value: (one) => one.username },
            { title: 'HOST', value: (one) => one.hostname },
          ]),
      });
    });
  key
    .command('add')
    .description('add a password')
    .argument('<repository>', 'a name or an address')
    .option(...newPasswordFile)
    .option(...newPasswordEnv)
    .action(async (repository: string, options: object) => {
      const { keyAdd } = await operations();
      await face.perform(keyAdd, { repository, ...options }, await face.uses(repository), {
        text: (one) => `✓ added key ${shortId(one.key)}`,
      });
    });
  key
    .command('remove')
    .description('remove a password; never the one in use')
    .argument('<repository>', 'a name or an address')
    .argument('<key>', 'the beginning of its id')
    .action(async (repository: string, id: string) => {
      const { keyRemove } = await operations();
      await face.perform(keyRemove, { repository, key: id }, await face.uses(repository), {
        text: (one) => `✓ removed key ${shortId(one.key)}`,
      });
    });
  repo
    .command('passwd')
    .description('replace the password in use by a new one')
    .argument('<repository>', 'a name or an address')
    .option(...newPasswordFile)
    .option(...newPasswordEnv)
    .action(async (repository: string, options: object) => {
      const { passwd } = await operations();
      await face.perform(passwd, { repository, ...options }, await face.uses(repository), {
        text: (one) =>
          `✓ key ${shortId(one.key)} replaces ${shortId(one.removed)}; now name the place of the new password in holdfast.yaml`,
      });
    });
}
