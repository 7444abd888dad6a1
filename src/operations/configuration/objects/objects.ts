/**
 * Entries of the configuration that the file does not own: made, changed and removed through the API. Secrets written in
 * them are sealed and become references `{ stored: NAME }`; nothing gives one back.
 */
import { z } from 'zod';
import { formatInstant } from '../../../base/clock.ts';
import { HoldfastError } from '../../../base/errors.ts';
import type { Secret } from '../../../base/secrets.ts';
import {
  type Config,
  ConfigError,
  type Declared,
  entryValue,
  keyOf,
  type Problem,
  parseConfig,
  readConfigFile,
  secretPlaces,
  withoutSecrets,
} from '../../../config/index.ts';
import { defaultWorkspace } from '../../../model/principal.ts';
import type { CatalogueAccess, Execution, SourceAccess } from '../../operation.ts';
import { operation } from '../../operation.ts';
import { openSealing } from '../sealing.ts';
import {
  asDeclared,
  objectSections,
  readObjects,
  removeObject,
  storedSecretNames,
  writeObject,
} from './object-rows.ts';
import { replaceAt, secretInText } from './object-values.ts';

const section = z
  .enum(objectSections)
  .describe('repositories, hosts, policies, sources, restores, notifications or workspaces');
const named = z.object({ section, name: z.string().min(1).max(64) });
const problem = z.object({ path: z.string(), message: z.string(), remedy: z.string() });
const origin = z.enum(['file', 'ui', 'label']);
const view = named.extend({
  /** `file`: read only here · `ui`: made over the API or with `object put` · `label`: declared by a container. */
  origin,
  changedAt: z.string().optional(),
  changedBy: z.string().optional(),
  /** False if it has errors, or the file has one of the same name. */
  isUsed: z.boolean(),
  problems: z.array(problem),
});
type View = z.infer<typeof view>;
type Named = z.infer<typeof named>;
type Uses = SourceAccess & Execution & CatalogueAccess;

const listInput = z.object({ section: section.optional() });
const listOutput = z.object({ objects: z.array(view) });

export const objectList = operation({
  name: 'object list',
  permission: 'admin',
  input: listInput,
  output: listOutput,
  run: async (input: z.infer<typeof listInput>, uses: Uses): Promise<z.infer<typeof listOutput>> => {
    const { config, made } = await situation(uses);
    const own = new Map(made.map((one) => [keyOf(one), one]));
    const wanted = objectSections.filter((one) => input.section === undefined || one === input.section);
    const used = wanted.flatMap((section) =>
      [...config[section].keys()].map((name) => ({ section, name })).filter((one) => !isGiven(one, config)),
    );
    const unused = made.filter((one) => wanted.includes(one.section) && !config[one.section].has(one.name));
    return { objects: [...used, ...unused].map((one) => viewOf(one, { config, made: own.get(keyOf(one)) })) };
  },
});

const getOutput = view.extend({ value: z.unknown() });

/** `object.unknown`. */
export const objectGet = operation({
  name: 'object get',
  permission: 'admin',
  input: named,
  output: getOutput,
  run: async (input: Named, uses: Uses): Promise<z.infer<typeof getOutput>> => {
    const { config, made } = await situation(uses);
    const own = made.find((one) => keyOf(one) === keyOf(input));
    const value = originOf(input, config) === 'ui' || !config[input.section].has(input.name) ? own?.value : undefined;
    const found = value ?? entryValue(config, input.section, input.name);
    if (found === undefined) throw unknownObject(input);
    return { ...viewOf(input, { config, made: own }), value: withoutSecrets(found, config) };
  },
});

const putInput = named.extend({ value: z.record(z.string(), z.unknown()).describe('as it would stand in the file') });
const putOutput = named.extend({ made: z.boolean(), sealed: z.array(z.string()) });

/** `object.owned`, `config.invalid` with what is wrong in it, or would be wrong elsewhere because of it. */
export const objectPut = operation({
  name: 'object put',
  permission: 'admin',
  input: putInput,
  output: putOutput,
  run: async (input: z.infer<typeof putInput>, uses: Uses): Promise<z.infer<typeof putOutput>> => {
    const { file, made } = await situation(uses);
    requireNotOwned(input, file);
    const others = made.filter((one) => keyOf(one) !== keyOf(input));
    const candidate = asDeclared(input);
    const checked = await checkWith([...others.map(asDeclared), candidate], others.map(asDeclared), uses);
    const { value, secrets } = takeSecrets(input, checked);
    requireNoSecretText(value, input);
    const sealing = secrets.size > 0 ? await openSealing(uses) : undefined;
    const sealed = new Map([...secrets].map(([name, secret]) => [name, sealing!.seal(secret, name)]));
    await writeObject(uses.catalogue, { ...input, value, changedBy: uses.principal.name }, sealed);
    return {
      section: input.section,
      name: input.name,
      made: others.length === made.length,
      sealed: [...sealed.keys()],
    };
  },
});

const removeOutput = named.extend({ removed: z.boolean() });

/** `object.unknown`, `object.owned`, `config.invalid` if others refer to it. */
export const objectRemove = operation({
  name: 'object remove',
  permission: 'admin',
  input: named,
  output: removeOutput,
  run: async (input: Named, uses: Uses): Promise<z.infer<typeof removeOutput>> => {
    const { file, made } = await situation(uses);
    const others = made.filter((one) => keyOf(one) !== keyOf(input));
    if (others.length === made.length) {
      requireNotOwned(input, file);
      throw unknownObject(input);
    }
    await checkWith(others.map(asDeclared), made.map(asDeclared), uses);
    await removeObject(uses.catalogue, input);
    return { section: input.section, name: input.name, removed: true };
  },
});

/** The file by itself, and with what is under it now. */
async function situation(uses: Uses) {
  const made = await readObjects(uses.catalogue);
  const bytes = await readConfigFile(uses.config.file);
  const names = await storedSecretNames(uses.catalogue);
  const known = { ...uses, secrets: { stored: (name: string) => (names.has(name) ? neverOpened : undefined) } };
  const file = parseConfig(uses.config.file, bytes, known);
  const config = parseConfig(uses.config.file, bytes, known, { declared: made.map(asDeclared) });
  return { file, config, made };
}

async function neverOpened(): Promise<Secret> {
  throw new Error('no secret is opened to look at what refers to it');
}

/** The whole with other entries than now; refused if anything is left out that is not left out now. */
async function checkWith(next: readonly Declared[], now: readonly Declared[], uses: Uses): Promise<Config> {
  const bytes = await readConfigFile(uses.config.file);
  const names = await storedSecretNames(uses.catalogue);
  const known = { ...uses, secrets: { stored: (name: string) => (names.has(name) ? neverOpened : undefined) } };
  const parse = (declared: readonly Declared[]) => parseConfig(uses.config.file, bytes, known, { declared });
  const [before, after] = [parse(now), parse(next)];
  const old = new Set(before.leftOut.map((one) => `${one.path} ${one.message}`));
  const fresh = after.leftOut.filter((one) => !old.has(`${one.path} ${one.message}`));
  if (fresh.length > 0) throw new ConfigError('what was given', fresh);
  return after;
}

/** Secrets in the clear become references to stored ones. */
function takeSecrets(
  input: z.infer<typeof putInput>,
  config: Config,
): { value: unknown; secrets: Map<string, Secret> } {
  const secrets = new Map<string, Secret>();
  let value: unknown = input.value;
  for (const { path, steps, reference } of secretPlaces(config)) {
    if (steps[0] !== input.section || steps[1] !== input.name || reference.from !== 'clear') continue;
    secrets.set(path, reference.secret);
    value = replaceAt(value, steps.slice(2), { stored: path });
  }
  return { value, secrets };
}

/** What is stored as it is must not hold secrets anywhere else: in addresses, in command lines. */
function requireNoSecretText(value: unknown, { section, name }: Named): void {
  const place = secretInText(value);
  if (place === undefined) return;
  const at: Problem = {
    level: 'error',
    file: 'what was given',
    line: 0,
    column: 0,
    path: [section, name, place].join('.'),
    message: 'holds a secret where none belongs',
    remedy: 'Give it in the setting that is there for it (password, token), or as { env: NAME } or { file: /path }.',
  };
  throw new ConfigError('what was given', [at]);
}

function requireNotOwned({ section, name }: Named, file: Config): void {
  if (!file[section].has(name) || isGiven({ section, name }, file)) return;
  throw new HoldfastError({
    code: 'object.owned',
    message: `${section}.${name} stands in ${file.file}`,
    remedy: 'Change it there; the file wins over what is made elsewhere.',
  });
}

/** The workspace that is always there, where nobody wrote it. */
function isGiven({ section, name }: Named, config: Config): boolean {
  return section === 'workspaces' && name === defaultWorkspace && entryValue(config, section, name) === undefined;
}

function unknownObject({ section, name }: Named): HoldfastError {
  return new HoldfastError({
    code: 'object.unknown',
    message: `there is no ${section}.${name}`,
    remedy: 'See what there is: holdfast object list',
  });
}

function originOf(one: Named, config: Config): View['origin'] {
  return config.origins.get(keyOf(one)) ?? 'file';
}

function viewOf(
  one: Named,
  { config, made }: { config: Config; made?: { readonly changedAtMs: number; readonly changedBy: string } },
): View {
  const { section, name } = one;
  const isUsed = config[section].has(name) && (made === undefined || originOf(one, config) === 'ui');
  const start = `${section}.${name}`;
  const own = config.leftOut.filter(
    ({ path }) => path === start || path.startsWith(`${start}.`) || path.startsWith(`${start}[`),
  );
  return {
    section,
    name,
    origin: config[section].has(name) ? originOf(one, config) : 'ui',
    ...(made ? { changedAt: formatInstant(made.changedAtMs), changedBy: made.changedBy } : {}),
    isUsed,
    problems: own.map(({ path, message, remedy }) => ({ path, message, remedy })),
  };
}
