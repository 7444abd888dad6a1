import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { parse, stringify } from 'yaml';
import { parseInstant } from '../../base/clock.ts';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import type { Face } from '../face.ts';
import { localTime, table } from '../table.ts';
import { withCatalogue } from '../with-catalogue.ts';

const operations = () => import('../../operations/configuration/objects/objects.ts');
const sectionArgument = [
  '<section>',
  'repositories, hosts, policies, sources, restores, notifications, workspaces',
] as const;

export function add(program: Command, face: Face): void {
  const object = program
    .command('object')
    .description('entries of the configuration that the file does not own, as they are made over the API');
  object
    .command('list')
    .description('every entry, where it is from, and whether it is used')
    .argument('[section]', sectionArgument[1])
    .action(async (section?: string) => {
      const { objectList } = await operations();
      await withCatalogue(face, (uses) =>
        face.perform(objectList, { section }, uses, {
          text: ({ objects }) =>
            table(objects, [
              { title: 'ENTRY', value: (one) => `${one.section}.${one.name}` },
              { title: 'FROM', value: (one) => one.origin },
              {
                title: 'CHANGED',
                value: (one) => (one.changedAt ? `${localTime(parseInstant(one.changedAt)!)} ${one.changedBy}` : ''),
              },
              { title: '', value: (one) => (one.isUsed ? '' : (one.problems[0]?.message ?? 'not used')) },
            ]),
        }),
      );
    });
  object
    .command('get')
    .description('an entry as it was written; secrets are references')
    .argument(...sectionArgument)
    .argument('<name>')
    .action(async (section: string, name: string) => {
      const { objectGet } = await operations();
      await withCatalogue(face, (uses) =>
        face.perform(objectGet, { section, name }, uses, {
          text: ({ value }) => stringify({ [name]: value }).trimEnd(),
        }),
      );
    });
  object
    .command('put')
    .description('make or change one: its YAML or JSON comes on stdin; secrets written in it are sealed')
    .argument(...sectionArgument)
    .argument('<name>')
    .action(async (section: string, name: string) => {
      const { objectPut } = await operations();
      await withCatalogue(face, (uses) =>
        face.perform(objectPut, { section, name, value: readValue() }, uses, {
          text: ({ made, sealed }) =>
            `${section}.${name} ${made ? 'made' : 'changed'}${sealed.length > 0 ? `; sealed: ${sealed.join(', ')}` : ''}`,
        }),
      );
    });
  object
    .command('remove')
    .description('remove one that nothing else refers to')
    .argument(...sectionArgument)
    .argument('<name>')
    .action(async (section: string, name: string) => {
      const { objectRemove } = await operations();
      await withCatalogue(face, (uses) =>
        face.perform(objectRemove, { section, name }, uses, { text: () => `${section}.${name} removed` }),
      );
    });
}

/** stdin, not an argument: it may hold a secret. */
function readValue(): unknown {
  try {
    return parse(readFileSync(0, 'utf8'), { maxAliasCount: 0 });
  } catch (cause) {
    throw new HoldfastError({
      code: 'usage.invalid',
      message: `what came on stdin is not YAML: ${messageOf(cause).split('\n')[0]}`,
      remedy: 'Give the entry as it would stand in the file: { driver: files, paths: [/srv], policy: nightly }',
      cause,
    });
  }
}
