import type { Command } from 'commander';
import { formatBytes } from '../../base/bytes.ts';
import type { InitOutput } from '../../operations/setup/init.ts';
import type { Face } from '../face.ts';
import { collect } from '../options.ts';
import { counted } from '../table.ts';
import { describeInitFrom } from './init-from-text.ts';

interface Options {
  readonly root?: string[];
  readonly from?: string;
  readonly host?: string;
  readonly passwordFile?: string;
}

export function add(program: Command, face: Face): void {
  program
    .command('init')
    .description('look around this machine and write a commented holdfast.yaml and a password file')
    .option('--repository <url>', 'where the repository will be')
    .option(
      '--password-file <file>',
      'where the password is written (default: ~/.config/holdfast/password); with --from, where it is',
    )
    .option('--root <directory>', 'look for databases here; may be repeated', collect)
    .option('--from <url>', 'carry on from this repository instead: the configuration comes out of it')
    .option('--host <name>', 'with --from: the configuration of this machine, where several use the repository')
    .action(async (options: Options) => {
      if (options.from !== undefined) return await carryOn(face, { ...options, from: options.from });
      const { init } = await import('../../operations/setup/init.ts');
      const [drivers, storageKinds, hostKinds, channelKinds] = await Promise.all([
        face.parts.drivers(),
        face.parts.storageKinds(),
        face.parts.hostKinds(),
        face.parts.channelKinds(),
      ]);
      const uses = { drivers, storageKinds, hostKinds, channelKinds, env: face.env, ...face.execution };
      const input = { ...options, roots: options.root ?? [], file: face.configFile };
      await face.perform(init, input, uses, { text: (output) => describeInit(output, face.configFile) });
    });
}

async function carryOn(face: Face, options: Options & { readonly from: string }): Promise<void> {
  const [{ initFrom }, { askPassword }] = await Promise.all([
    import('../../operations/setup/init-from.ts'),
    import('../ask-password.ts'),
  ]);
  const streams = { input: process.stdin, prompts: process.stderr };
  const uses = { ...(await face.bareUses()), askPassword: () => askPassword('password of the repository: ', streams) };
  await face.perform(initFrom, { ...options, file: face.configFile }, uses, {
    text: (output) => describeInitFrom(output, face.configFile),
  });
}

/** What was found, what was written, and what to do next. `shown`: the file as the operator named it. */
export function describeInit(output: InitOutput, shown: string): string {
  const databases = output.databases.map((one) => `  ${one.path} (${formatBytes(one.sizeBytes)})`);
  const servers = output.servers.map(
    (one) => `  ${one.kind} in ${one.path}: a line for it is in ${shown}, as a comment; complete it`,
  );
  const config = shown === 'holdfast.yaml' ? '' : `--config ${shown} `;
  return [
    `found ${counted(output.databases.length, 'SQLite database')}, ${counted(output.composeFiles.length, 'compose file')}`,
    ...databases,
    ...servers,
    `wrote ${output.file} with ${counted(output.sources.length, 'source')}: ${output.sources.join(', ')}`,
    output.passwordMade
      ? `wrote a new password to ${output.passwordFile}: print it and keep it somewhere else, without it nothing can be restored`
      : `the password file ${output.passwordFile} was there already and is used`,
    '',
    'next:',
    `  edit ${shown}: where the repository is (now ${output.repository}), what to protect`,
    `  holdfast ${config}repo init nas`,
    `  holdfast ${config}backup --all`,
    `  holdfast ${config}drill --all`,
  ].join('\n');
}
