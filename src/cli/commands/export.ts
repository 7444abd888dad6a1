import type { Command } from 'commander';
import type { Face } from '../face.ts';

export function add(program: Command, face: Face): void {
  program
    .command('export')
    .description(
      'print the whole configuration as one file: with what was made over the API, secrets as references only',
    )
    .action(async () => {
      const [{ exportConfiguration }, { findLocalCatalogue }] = await Promise.all([
        import('../../operations/configuration/export.ts'),
        import('../../operations/open-catalogue.ts'),
      ]);
      const uses = await face.uses();
      await using access = await findLocalCatalogue(uses);
      const all = { ...uses, ...(access ? { catalogue: access.catalogue, principal: access.principal } : {}) };
      await face.perform(exportConfiguration, {}, all, {
        text: ({ text, replaced, leftOut }) => {
          for (const { path, by } of replaced)
            face.screen.say(`note: ${path} was a secret in the clear; it is ${by} now`);
          for (const { from, path, message } of leftOut)
            face.screen.say(`warning: left out, ${from}: ${path} ${message}`);
          return text.trimEnd();
        },
      });
    });
}
