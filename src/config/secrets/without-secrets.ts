/**
 * A configuration as it may be stored: as it was written, but without any secret in it. Secrets in the clear become
 * references to environment variables; what looks like a secret elsewhere (in URLs, command lines, comments) is cut out.
 * The result is proven before it is given away: it is read again, and no secret may be found in it by any way.
 */
import { isPair, isScalar, isSeq, Lexer, parseDocument, type Scalar, visit } from 'yaml';
import { HoldfastError } from '../../base/errors.ts';
import type { Config } from '../config.ts';
import { parseConfig } from '../load.ts';
import { type ConfigPath, formatPath } from '../problems.ts';
import type { Known } from '../reading.ts';
import { parseOptions } from '../yaml/parse-options.ts';
import { cleanComment, cleanText, formsOf, isUnmistakable, namesSecret, removedMark } from './clean-text.ts';
import { secretPlaces } from './secret-places.ts';

export interface CleanConfig {
  readonly text: string;
  /** Settings that are not as they were written, by path, and what stands there now. */
  readonly replaced: readonly { readonly path: string; readonly by: string }[];
}

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

interface KnownSecrets {
  readonly all: ReadonlySet<string>;
  /** Names of the settings under which some stand in the clear. */
  readonly keys: ReadonlySet<string>;
  /** Those that are removed wherever they appear. */
  readonly unmistakable: readonly string[];
}

/**
 * `others`: secrets that are known from elsewhere and must not be in it either. `config.invalid` if it cannot be proven that
 * no secret is left: then nothing of the text may be stored.
 */
export function configWithoutSecrets(config: Config, known: Known, others: readonly string[] = []): CleanConfig {
  const original = new TextDecoder('utf-8').decode(config.bytes);
  const secrets = knownSecrets(config, others);
  const replaced: { path: string; by: string }[] = [];
  const edits = [...scalarEdits(original, secrets, replaced), ...commentEdits(original, secrets)];
  const text = applyEdits(original, edits);
  requireClean(text, { config, known, secrets });
  return { text, replaced };
}

/** The same for values that came from it: everything but names of keys, with references as `{ from, … }`. */
export function withoutSecrets(value: unknown, config: Config, others: readonly string[] = []): unknown {
  return cleanValue(value, knownSecrets(config, others).unmistakable, '');
}

function knownSecrets(config: Config, others: readonly string[]): KnownSecrets {
  const clear = secretPlaces(config).flatMap(({ path, reference }) =>
    reference.from === 'clear' ? [{ key: path.split('.').at(-1)!, value: reference.secret.reveal() }] : [],
  );
  const all = new Set([...clear.map(({ value }) => value), ...others]);
  return { all, keys: new Set(clear.map(({ key }) => key)), unmistakable: [...all].filter(isUnmistakable) };
}

function scalarEdits(text: string, secrets: KnownSecrets, replaced: { path: string; by: string }[]): Edit[] {
  const edits: Edit[] = [];
  visit(parseDocument(text, parseOptions), {
    Scalar(key, node, ancestors) {
      if (key === 'key' || typeof node.value !== 'string' || !node.range) return;
      const path = pathOf(key, node, ancestors);
      const by = replacementOf(node as Scalar<string>, path, secrets);
      if (by === undefined) return;
      const [start, end] = node.range;
      edits.push({ start, end, text: text.slice(start, end).endsWith('\n') ? `${by}\n` : by });
      replaced.push({ path: formatPath(path), by });
    },
  });
  return edits;
}

/** What is written instead of a value; `undefined` to leave it. */
function replacementOf(node: Scalar<string>, path: ConfigPath, secrets: KnownSecrets): string | undefined {
  const { value } = node;
  const key = String(path.at(-1) ?? '');
  const isKnown = secrets.all.has(value);
  if (isKnown && (secrets.keys.has(key) || node.anchor !== undefined)) return `{ env: ${variableFor(path)} }`;
  if (isKnown && isUnmistakable(value)) return JSON.stringify(removedMark);
  if (namesSecret(key, value) && !isReferencePart(path)) return JSON.stringify(removedMark);
  const clean = cleanText(value, secrets.unmistakable);
  return clean === value ? undefined : JSON.stringify(clean);
}

/** `env` of `{ env: SHOP_PASSWORD }` and the like are names and places, not secrets. */
function isReferencePart(path: ConfigPath): boolean {
  return ['env', 'file', 'command', 'vault', 'stored', 'container'].includes(String(path.at(-1)));
}

/** The variable that takes a secret which stood in the clear. */
export function variableFor(path: ConfigPath): string {
  return `HOLDFAST_${path
    .join('_')
    .toUpperCase()
    .replace(/[^A-Z0-9]+/g, '_')}`;
}

function pathOf(key: number | string | null, node: unknown, ancestors: readonly unknown[]): ConfigPath {
  const steps: (string | number)[] = [];
  const chain = [...ancestors, node];
  for (const [i, one] of chain.entries()) {
    if (isPair(one) && isScalar(one.key)) steps.push(String(one.key.value));
    if (isSeq(one)) steps.push(i + 1 < chain.length - 1 ? one.items.indexOf(chain[i + 1]) : Number(key));
  }
  return steps;
}

/** What the lexer says of a text without taking any of it: a plain scalar, a document, the end of a collection. */
const scalarMark = '\u001f';
const marks = new Set([scalarMark, '\u0002', '\u0018']);

/** Comments, found as YAML finds them: a `#` within a text is none. */
function commentEdits(text: string, secrets: KnownSecrets): Edit[] {
  const edits: Edit[] = [];
  let offset = 0;
  let previous = '';
  for (const lexeme of new Lexer().lex(text)) {
    const isComment = lexeme.startsWith('#') && previous !== scalarMark;
    if (isComment) {
      const clean = cleanComment(lexeme, secrets.unmistakable);
      if (clean !== lexeme) edits.push({ start: offset, end: offset + lexeme.length, text: clean });
    }
    if (!marks.has(lexeme)) offset += lexeme.length;
    previous = lexeme;
  }
  return edits;
}

function applyEdits(text: string, edits: readonly Edit[]): string {
  const parts: string[] = [];
  let copied = 0;
  for (const { start, end, text: by } of edits.toSorted((a, b) => a.start - b.start)) {
    parts.push(text.slice(copied, start), by);
    copied = end;
  }
  return parts.join('') + text.slice(copied);
}

/** It must be a configuration with the same entries, hold references only, and none of the secrets in any form. */
function requireClean(
  text: string,
  { config, known, secrets }: { config: Config; known: Known; secrets: KnownSecrets },
): void {
  const again = parseConfig(config.file, Buffer.from(text), known);
  const clear = secretPlaces(again).filter(({ reference }) => reference.from === 'clear');
  const left = clear.filter(({ reference }) => reference.from === 'clear' && reference.secret.reveal() !== removedMark);
  const same = (['repositories', 'hosts', 'policies', 'sources'] as const).every(
    (section) => [...again[section].keys()].join('\n') === [...config[section].keys()].join('\n'),
  );
  const leaked = formsOf(secrets.unmistakable).isIn(text);
  if (left.length === 0 && same && !leaked) return;
  throw new HoldfastError({
    code: 'config.invalid',
    message: `it cannot be proven that ${config.file} holds no secret once those in the clear are taken out`,
    remedy: 'Write every secret as a reference: { file: /path }, { env: NAME } or { command: [program, argument] }.',
  });
}

function cleanValue(value: unknown, secrets: readonly string[], key: string): unknown {
  if (typeof value === 'string') return namesSecret(key, value) ? removedMark : cleanText(value, secrets);
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((one) => cleanValue(one, secrets, key));
  const { from } = value as { from?: unknown };
  if (from === 'clear') return { from };
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, cleanValue(inner, secrets, name)]));
}
