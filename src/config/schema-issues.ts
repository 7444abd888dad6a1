/** What a schema found wrong, in the words of a person who writes the file. */
import type { z } from 'zod';
import type { ConfigPath } from './problems.ts';
import { suggestion } from './suggest.ts';

export interface Finding {
  readonly path: ConfigPath;
  /** `key` for a key that should not be there, or whose value is missing. */
  readonly part: 'key' | 'value';
  readonly message: string;
  readonly remedy: string;
}

type Issue = z.core.$ZodIssue;

/** One finding per thing that is wrong; unknown keys one by one. `base` is the path of the value that was checked. */
export function findingsOf(
  issues: readonly Issue[],
  schema: z.core.$ZodType,
  base: ConfigPath,
  value: unknown,
): Finding[] {
  return issues.flatMap((issue) => findingsOfIssue(issue, schema, base, value));
}

function findingsOfIssue(issue: Issue, schema: z.core.$ZodType, base: ConfigPath, value: unknown): Finding[] {
  const steps = issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step));
  const path = [...base, ...steps];
  const known = schemaAt(schema, steps);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => unknownKey([...path, key], key, keysOf(known)));
  }
  if (issue.code === 'invalid_union' && issue.message === 'Invalid input') {
    const branch = bestBranch(issue.errors, valueAt(value, steps));
    if (branch) return branch.flatMap((inner) => findingsOfIssue(inner, known ?? schema, path, valueAt(value, steps)));
  }
  const given = valueAt(value, steps);
  const hint = descriptionOf(schema, steps);
  const remedy = hint === undefined ? 'Correct it, or remove the line.' : `Expected: ${hint.replace(/\.$/, '')}.`;
  if (given === undefined) return [{ path, part: 'key', message: 'is missing', remedy }];
  if (given === null) return [{ path, part: 'key', message: 'is empty', remedy: `${remedy} Or remove the line.` }];
  return [{ path, part: 'value', ...messageAbout(issue, given, remedy) }];
}

export function unknownKey(path: ConfigPath, key: string, known: readonly string[]): Finding {
  return { path, part: 'key', message: 'is not known here', remedy: suggestion(key, known, 'setting') };
}

function messageAbout(issue: Issue, given: unknown, remedy: string): { message: string; remedy: string } {
  switch (issue.code) {
    case 'invalid_type':
      return { message: `must be ${nouns[issue.expected] ?? issue.expected}, not ${kindOf(given)}`, remedy };
    case 'invalid_value': {
      const values = issue.values.map(String);
      return {
        message: `«${String(given)}» is not one of its values`,
        remedy: suggestion(String(given), values, 'value'),
      };
    }
    case 'too_small':
      return { message: Array.isArray(given) || given === '' ? 'is empty' : `is below ${issue.minimum}`, remedy };
    case 'invalid_format':
      return { message: formatMessage(issue.message), remedy };
    case 'too_big':
      return { message: `is above ${issue.maximum}`, remedy };
    default:
      return { message: issue.message === 'Invalid input' ? 'has the wrong form' : issue.message, remedy };
  }
}

/** Schemas say either what it must be («an address») or what is wrong («is no address»). */
function formatMessage(message: string): string {
  if (message.startsWith('Invalid')) return 'has the wrong form';
  return /^an? /.test(message) ? `must be ${message}` : message;
}

const nouns: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
};

function kindOf(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (typeof value === 'string') return `the text ${JSON.stringify(value.slice(0, 40))}`;
  return String(value);
}

/** The form the writer most likely meant: one that got past its own type, with the fewest things wrong. */
function bestBranch(branches: readonly (readonly Issue[])[], given: unknown): readonly Issue[] | undefined {
  const fits = (branch: readonly Issue[]): boolean =>
    !branch.some((issue) => issue.path.length === 0 && issue.code === 'invalid_type');
  const candidates = branches.filter(fits).toSorted((a, b) => a.length - b.length);
  return typeof given === 'object' && given !== null ? candidates[0] : undefined;
}

/** `undefined` where there is none. */
export function valueAt(value: unknown, steps: readonly (string | number)[]): unknown {
  return steps.reduce<unknown>(
    (inner, step) =>
      typeof inner === 'object' && inner !== null ? (inner as Record<string | number, unknown>)[step] : undefined,
    value,
  );
}

/** As much of zod's schema definitions as is needed to find the keys and descriptions of a place. */
interface Definition {
  readonly type: string;
  readonly shape?: Readonly<Record<string, z.core.$ZodType>>;
  readonly element?: z.core.$ZodType;
  readonly innerType?: z.core.$ZodType;
  readonly valueType?: z.core.$ZodType;
  readonly in?: z.core.$ZodType;
  readonly options?: readonly z.core.$ZodType[];
}

function definitionOf(schema: z.core.$ZodType): Definition {
  return schema._zod.def as unknown as Definition;
}

function schemaAt(
  schema: z.core.$ZodType | undefined,
  steps: readonly (string | number)[],
): z.core.$ZodType | undefined {
  return steps.reduce<z.core.$ZodType | undefined>((at, step) => at && stepInto(at, step), schema);
}

function stepInto(schema: z.core.$ZodType, step: string | number): z.core.$ZodType | undefined {
  const definition = definitionOf(schema);
  if (definition.shape) return definition.shape[step];
  if (definition.element) return definition.element;
  if (definition.valueType) return definition.valueType;
  const inner = definition.innerType ?? definition.in;
  if (inner) return stepInto(inner, step);
  for (const option of definition.options ?? []) {
    const found = stepInto(option, step);
    if (found) return found;
  }
  return undefined;
}

/** The keys a mapping of this schema may have. */
export function keysOf(schema: z.core.$ZodType | undefined): string[] {
  if (!schema) return [];
  const definition = definitionOf(schema);
  if (definition.shape) return Object.keys(definition.shape);
  const inner = definition.innerType ?? definition.in;
  if (inner) return keysOf(inner);
  return (definition.options ?? []).flatMap(keysOf);
}

/** The fields of an object schema, also below refinements; of a union, those of all its forms. */
export function fieldsOf(schema: z.core.$ZodType): Readonly<Record<string, z.ZodType>> {
  const definition = definitionOf(schema);
  if (definition.shape) return definition.shape as Readonly<Record<string, z.ZodType>>;
  const inner = definition.innerType ?? definition.in;
  if (inner) return fieldsOf(inner);
  return Object.assign({}, ...(definition.options ?? []).map(fieldsOf));
}

function descriptionOf(schema: z.core.$ZodType, steps: readonly (string | number)[]): string | undefined {
  const at = schemaAt(schema, steps);
  for (let one = at; one; one = definitionOf(one).innerType ?? definitionOf(one).in) {
    const description = (one as { description?: string }).description;
    if (description !== undefined) return description;
  }
  return undefined;
}
