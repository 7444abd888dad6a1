import type { Command } from 'commander';
import type { Face } from '../face.ts';
import { counted } from '../table.ts';

export function add(program: Command, face: Face): void {
  program
    .command('validate')
    .description('check holdfast.yaml: every error with its line, column, path and remedy')
    .option('--secrets', 'also check that every secret it names can be read')
    .option('--schema', 'print its JSON Schema instead, for editors')
    .action(async ({ schema, ...options }: { secrets?: boolean; schema?: boolean }) => {
      if (schema) return await printSchema(face);
      const { validate } = await import('../../operations/configuration/validate.ts');
      await face.perform(validate, options, await face.uses(), {
        wrong: (output) => !output.ok,
        text: (output) => {
          const warnings = output.warnings.map(
            (one) => `${one.file}:${one.line}:${one.column}: warning: ${one.path} ${one.message}\n    ${one.remedy}`,
          );
          const secrets = output.secrets.map((one) =>
            one.ok ? `the secret of ${one.owner} can be read` : `${one.message}\n    ${one.remedy}`,
          );
          const counts = [
            counted(output.repositories.length, 'repository', 'repositories'),
            counted(output.policies.length, 'policy', 'policies'),
            counted(output.sources.length, 'source'),
            ...(output.restores.length > 0 ? [counted(output.restores.length, 'restore')] : []),
            ...(output.notifications.length > 0 ? [counted(output.notifications.length, 'channel')] : []),
            ...(output.users.length > 0 ? [counted(output.users.length, 'user')] : []),
          ];
          return [...warnings, ...secrets, `${output.file} is valid: ${counts.join(', ')}`].join('\n');
        },
      });
    });
}

/** Needs no file: it is for those who are about to write one. */
async function printSchema(face: Face): Promise<void> {
  const { configSchema } = await import('../../operations/configuration/config-schema.ts');
  const [drivers, storageKinds, hostKinds, channelKinds] = await Promise.all([
    face.parts.drivers(),
    face.parts.storageKinds(),
    face.parts.hostKinds(),
    face.parts.channelKinds(),
  ]);
  const text = (schema: object): string => JSON.stringify(schema, undefined, 2);
  await face.perform(configSchema, {}, { drivers, storageKinds, hostKinds, channelKinds }, { text });
}
