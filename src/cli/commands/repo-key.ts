import type { Command } from 'commander';
import type { RotateOutput } from '../../operations/repositories/rotate-key.ts';
import type { Face } from '../face.ts';
import { shortId, table } from '../table.ts';

const operations = () => import('../../operations/repositories/repo-key.ts');
const newPasswordFile = ['--new-password-file <file>', 'the file that holds the new password'] as const;
const newPasswordEnv = ['--new-password-env <name>', 'the environment variable that holds the new password'] as const;

/** `repo key …`. */
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
            {
              title: 'COST',
              value: ({ cost, outdated }) => (cost ? `N=${cost.N}${outdated ? ' (outdated)' : ''}` : ''),
            },
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
  addReplacing(key, face);
  addPasswd(key, face);
  addPasswd(repo, face);
}

function addReplacing(key: Command, face: Face): void {
  key
    .command('rotate')
    .description('a new password in every repository that takes it from the same place, and in that file')
    .argument('<repository>', 'a name or an address')
    .option(...newPasswordFile)
    .option(...newPasswordEnv)
    .option('--all-keys', 'also remove the keys of all other passwords')
    .action(async (repository: string, options: object) => {
      const { keyRotate } = await import('../../operations/repositories/rotate-key.ts');
      await face.perform(keyRotate, { repository, ...options }, await face.uses(repository), {
        text: describeRotation,
      });
    });
  key
    .command('rewrap')
    .description('make the key in use anew: the same password, today’s cost of guessing at it')
    .argument('<repository>', 'a name or an address')
    .action(async (repository: string) => {
      const { keyRewrap } = await operations();
      await face.perform(keyRewrap, { repository }, await face.uses(repository), {
        text: (one) =>
          [
            `✓ key ${shortId(one.key)} replaces ${shortId(one.removed)}; the password is the same`,
            ...one.outdated.map(
              (id) => `! key ${shortId(id)} is cheaper to guess at than a new one: rewrap it with its own password`,
            ),
          ].join('\n'),
      });
    });
}

function describeRotation({ repositories, passwordFile, resumed }: RotateOutput): string {
  return [
    ...(resumed ? ['an interrupted rotation was found and brought to its end'] : []),
    ...repositories.map((one) =>
      [
        `✓ ${one.repository}: opens with the new password (key ${shortId(one.key)})`,
        ...one.removed.map((id) => `removed ${shortId(id)}`),
      ].join(', '),
    ),
    passwordFile === undefined
      ? '! put the new password where the configuration takes it from: the old one opens nothing any more'
      : `✓ ${passwordFile} holds the new password: print it and keep it somewhere else`,
    '  make new recovery kits: holdfast repo recovery-kit REPOSITORY',
  ].join('\n');
}

/** As `repo key passwd`, and as `repo passwd`, which it was called first. */
function addPasswd(parent: Command, face: Face): void {
  parent
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
