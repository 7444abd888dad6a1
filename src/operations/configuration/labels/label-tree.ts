/**
 * What the labels `holdfast.…` of a container say. A label may come from the image, not from whoever runs it: so labels speak
 * of the inside of their own container only. They name no host, no files and no programs of this machine, no secrets from
 * elsewhere, and nothing that is run around a backup.
 */
import { parse } from 'yaml';

export const labelPrefix = 'holdfast.';

export interface LabelFault {
  readonly label: string;
  readonly message: string;
  readonly remedy: string;
}

export interface LabelTree {
  /** `undefined` if no label says so. */
  readonly enable?: boolean;
  readonly name?: string;
  /** The entry, as it would stand in the file. */
  readonly value: Readonly<Record<string, unknown>>;
  readonly faults: readonly LabelFault[];
}

/** Labels this program gives to containers of its own. */
const ownLabels = new Set(['throwaway', 'owner']);
/** Settings that are about this machine, or that run something. */
const forbidden =
  /^(?:host|window|drill|verify|limits|workspace|client|binDirectory|socket|socketDirectory|image|tls)(?:\.|$)|director(?:y|ies)\b|program/i;
const placesOfSecrets = new Set(['file', 'env', 'command', 'vault', 'stored']);

export function readLabels(labels: Readonly<Record<string, string>>): LabelTree {
  const faults: LabelFault[] = [];
  const value: Record<string, unknown> = {};
  let enable: boolean | undefined;
  let name: string | undefined;
  for (const [label, text] of Object.entries(labels).toSorted(([a], [b]) => a.localeCompare(b))) {
    if (!label.startsWith(labelPrefix)) continue;
    const path = label.slice(labelPrefix.length);
    if (ownLabels.has(path)) continue;
    if (path === 'enable') enable = flagOf(label, text, faults);
    else if (path === 'name') name = text;
    else if (mayBeLabel(label, path, faults)) put(value, path.split('.'), { label, value: settingOf(text) }, faults);
  }
  for (const [key, inner] of Object.entries(value)) refuseForeignSecrets(`${labelPrefix}${key}`, inner, faults);
  return { enable, name, value, faults };
}

function flagOf(label: string, text: string, faults: LabelFault[]): boolean | undefined {
  if (text === 'true' || text === 'false') return text === 'true';
  faults.push({ label, message: `is «${text}»`, remedy: 'Write true or false.' });
  return undefined;
}

function mayBeLabel(label: string, path: string, faults: LabelFault[]): boolean {
  const steps = path.split('.');
  if (steps.some((step) => !/^[A-Za-z][\w-]*$/.test(step))) {
    faults.push({
      label,
      message: 'is no name of a setting',
      remedy: 'Write holdfast.SETTING, with dots for settings within.',
    });
    return false;
  }
  if (forbidden.test(path)) {
    const remedy =
      'Declare the source in holdfast.yaml if it needs this: labels speak of the inside of their container only.';
    faults.push({ label, message: 'is not for labels', remedy });
    return false;
  }
  return true;
}

/** However it was written: `holdfast.password.file=…` or `holdfast.password={ file: … }`. */
function refuseForeignSecrets(label: string, value: unknown, faults: LabelFault[]): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    if (!Array.isArray(value) && placesOfSecrets.has(key)) {
      const remedy = 'Write holdfast.SETTING.container=VARIABLE: a variable of this container’s own environment.';
      faults.push({ label: `${label}.${key}`, message: 'names a secret outside of the container', remedy });
    } else refuseForeignSecrets(`${label}.${key}`, inner, faults);
  }
}

/** Lists, mappings, numbers and truth as YAML writes them; everything else is the text as it is. */
function settingOf(text: string): unknown {
  if (!/^(?:\[.*\]|\{.*\}|true|false|-?\d+)$/s.test(text.trim())) return text;
  try {
    return parse(text, { maxAliasCount: 0 });
  } catch {
    return text;
  }
}

function put(
  value: Record<string, unknown>,
  steps: readonly string[],
  given: { readonly label: string; readonly value: unknown },
  faults: LabelFault[],
): void {
  let at = value;
  for (const step of steps.slice(0, -1)) {
    at[step] ??= {};
    const inner = at[step];
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) {
      faults.push({
        label: given.label,
        message: 'is said twice, as one value and as several',
        remedy: 'Keep one of them.',
      });
      return;
    }
    at = inner as Record<string, unknown>;
  }
  at[steps.at(-1)!] = given.value;
}
