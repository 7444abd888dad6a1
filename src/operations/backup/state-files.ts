/** What a state snapshot holds: the configuration without secrets, and what it means, for programs and for people. */
import { z } from 'zod';
import { utf8, view } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import {
  type CleanConfig,
  type Config,
  configWithoutSecrets,
  type Known,
  secretPlaces,
  withoutSecrets,
} from '../../config/index.ts';
import { placeOf } from '../configuration/secret-needs.ts';

export const configName = 'holdfast.yaml';
export const factsName = 'state.json';
const readmeName = 'README.txt';

const secretNeed = z.object({
  /** The setting: `repositories.nas.password`. */
  path: z.string(),
  from: z.enum(['file', 'env', 'command', 'stored', 'container']),
  /** The file, the variable, or the program. */
  place: z.string(),
});
export type SecretNeed = z.infer<typeof secretNeed>;

const stateFacts = z.looseObject({
  format: z.literal(1),
  /** The repository this state is stored in, as its configuration calls it. */
  repository: z.object({ name: z.string(), id: z.string() }),
  hostname: z.string(),
  configFile: z.string(),
  secrets: z.array(secretNeed),
  /** Settings that are not as they were written, because a secret stood there. */
  replaced: z.array(z.object({ path: z.string(), by: z.string() })),
  effective: z.looseObject({}),
});
export type StateFacts = z.infer<typeof stateFacts>;

export interface StateOwner {
  readonly repository: { readonly name: string; readonly id: string };
  readonly hostname: string;
}

/** The files by name. The same for the same configuration and `secrets`, which are cut out. `config.invalid` if it may not be stored. */
export function stateFiles(
  config: Config,
  known: Known,
  { secrets, ...owner }: StateOwner & { readonly secrets: readonly string[] },
): Map<string, Uint8Array> {
  const { text, replaced } = configWithoutSecrets(config, known, secrets);
  const facts: StateFacts = {
    format: 1,
    ...owner,
    configFile: config.file,
    secrets: secretPlaces(config).flatMap(({ path, reference }) => {
      if (reference.from === 'clear') return variableOf(path, replaced);
      const place = reference.from === 'command' ? reference.argv.join(' ') : placeOf(reference);
      return [{ path, from: reference.from, place }];
    }),
    replaced: replaced.map((one) => ({ ...one })),
    effective: effectiveOf(config),
  };
  return new Map([
    [configName, utf8(text)],
    [readmeName, utf8(readme)],
    [factsName, utf8(`${JSON.stringify(withoutSecrets(facts, config, secrets), null, 1)}\n`)],
  ]);
}

/** A secret in the clear is asked for as the variable that stands there now. */
function variableOf(path: string, replaced: CleanConfig['replaced']): SecretNeed[] {
  const name = /^\{ env: (\w+) \}$/.exec(replaced.find((one) => one.path === path)?.by ?? '')?.[1];
  return name === undefined ? [] : [{ path, from: 'env', place: name }];
}

function effectiveOf(config: Config): Record<string, unknown> {
  return Object.fromEntries(
    (['repositories', 'hosts', 'policies', 'sources', 'restores'] as const).map((section) => [
      section,
      [...config[section].values()],
    ]),
  );
}

/** `repository.unsupported` for a state of a later version. */
export function parseFacts(bytes: Uint8Array | undefined): StateFacts {
  let cause: unknown;
  try {
    const parsed = stateFacts.safeParse(JSON.parse(view(bytes ?? new Uint8Array()).toString('utf8')));
    if (parsed.success) return parsed.data;
    cause = parsed.error;
  } catch (error) {
    cause = error;
  }
  throw new HoldfastError({
    code: 'repository.unsupported',
    message: `the state in this repository is not one this version reads: ${factsName} is not what it should be`,
    remedy: `Use the version that wrote it, or take ${configName} out of it with: holdfast cat SNAPSHOT /holdfast-state/${configName}`,
    cause,
  });
}

const readme = `This is what Holdfast needs to carry on with this repository on another machine: the configuration as it was
written, without any secret (${configName}), and what it means (${factsName}).

    holdfast init --from ADDRESS-OF-THIS-REPOSITORY

asks for the password, writes the configuration back and says which secrets have to be provided again.
`;
