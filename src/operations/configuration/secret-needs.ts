/** Which of the secrets a configuration names are there on this machine. None is printed, and no program is started for it. */
import { z } from 'zod';
import type { Secret } from '../../base/secrets.ts';
import { type Config, readSecret, type SecretPlace, type SecretReference, secretPlaces } from '../../config/index.ts';
import { describeError } from '../describe-error.ts';
import { writeNewSecret } from '../new-file.ts';
import type { Execution, SourceAccess } from '../operation.ts';

export const secretState = z.object({
  /** The setting: `repositories.nas.password`. */
  path: z.string(),
  from: z.enum(['file', 'env', 'command', 'stored', 'container', 'clear']),
  /** The file, the variable, the program, the name it is stored under, the container and its variable. */
  place: z.string(),
  /** `written`: it was missing and is what was given just now; `other`: it is there, but does not open this repository. */
  state: z.enum(['there', 'missing', 'written', 'other', 'unchecked']),
  message: z.string().optional(),
});
export type SecretState = z.infer<typeof secretState>;

type Uses = Pick<SourceAccess, 'env' | 'localHost'> & Execution;

/**
 * The state of each secret of the configuration. `opened`: the repository that is open, and its password: where a file is
 * named for it and is missing, it is written (0600).
 */
export async function secretStates(
  config: Config,
  opened: { readonly name: string; readonly password: Secret },
  uses: Uses,
): Promise<SecretState[]> {
  const states: SecretState[] = [];
  for (const place of secretPlaces(config)) {
    const own = place.path === `repositories.${opened.name}.password`;
    states.push(await stateOf(place, own ? opened.password : undefined, uses));
  }
  return states;
}

async function stateOf({ path, reference }: SecretPlace, known: Secret | undefined, uses: Uses): Promise<SecretState> {
  const need = { path, from: reference.from, place: placeOf(reference) };
  if (reference.from === 'command' || reference.from === 'clear') return { ...need, state: 'unchecked' };
  try {
    const { env, signal } = uses;
    const found = await readSecret(reference, path, { env, signal, run: (command) => uses.localHost().run(command) });
    return { ...need, state: known && found.reveal() !== known.reveal() ? 'other' : 'there' };
  } catch (error) {
    if (known && reference.from === 'file' && (await written(reference.path, known))) {
      return { ...need, state: 'written' };
    }
    return { ...need, state: 'missing', message: describeError(error).message };
  }
}

/** False where it cannot be written, or is there and cannot be read: then a person is asked for it. */
async function written(file: string, secret: Secret): Promise<boolean> {
  return await writeNewSecret(file, secret.reveal()).catch(() => false);
}

export function placeOf(reference: SecretReference): string {
  switch (reference.from) {
    case 'file':
      return reference.path;
    case 'env':
      return reference.name;
    case 'command':
      return reference.argv[0];
    case 'stored':
      return reference.name;
    case 'container':
      return `${reference.container}#${reference.variable}`;
    case 'clear':
      return 'the configuration itself';
  }
}
