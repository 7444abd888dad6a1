/**
 * YAML 1.2 with the places of everything in it. What YAML would quietly turn into something else is refused: duplicate
 * keys, several documents, YAML 1.1 (where `no` is false), unknown tags, bytes that are not UTF-8. Bounded: 4 MiB, nesting
 * as deep as the stack, at most 100 expansions of aliases.
 */
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit,
  type YAMLError,
  type YAMLMap,
} from 'yaml';
import { messageOf } from '../../base/errors.ts';
import type { ConfigPath, Place } from '../problems.ts';
import { parseOptions } from './parse-options.ts';

export const mostConfigBytes = 4 << 20;
const mostAliases = 100;
const mostComplaints = 20;

export interface Complaint extends Place {
  readonly message: string;
  readonly remedy: string;
}

export interface PositionedDocument {
  readonly value: unknown;
  /** Where the value at `path` stands, or its key; the nearest thing above it if there is no such thing. */
  locate(path: ConfigPath, part: 'key' | 'value'): Place;
}

/** The document, or what is wrong with the text. */
export function readYaml(bytes: Uint8Array): PositionedDocument | readonly Complaint[] {
  const text = decode(bytes);
  if (typeof text !== 'string') return [text];
  const lines = new LineCounter();
  try {
    const document = parseDocument(text, { ...parseOptions, lineCounter: lines, prettyErrors: false });
    const complaints = [...document.errors, ...document.warnings].map((error) => complaintOf(error, lines));
    complaints.push(...contradictions(document, lines));
    if (document.directives?.yaml.version === '1.1') complaints.push(oldVersion);
    if (complaints.length > 0) return complaints.slice(0, mostComplaints);
    const value: unknown = document.toJS({ maxAliasCount: mostAliases });
    return { value, locate: (path, part) => locate(document, lines, path, part) };
  } catch (error) {
    return [limitComplaint(error)];
  }
}

function decode(bytes: Uint8Array): string | Complaint {
  if (bytes.byteLength > mostConfigBytes) {
    return {
      ...fileStart,
      message: `is larger than ${mostConfigBytes >> 20} MiB, which no configuration is`,
      remedy: 'Check that --config names the right file.',
    };
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    const utf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
    return {
      ...placeOfBrokenByte(bytes),
      message: utf16 ? 'is UTF-16, not UTF-8' : 'holds bytes that are not UTF-8',
      remedy: 'Save the file as UTF-8, for example with: iconv -t UTF-8',
    };
  }
}

const fileStart: Place = { line: 1, column: 1 };
const oldVersion: Complaint = {
  ...fileStart,
  message: 'asks for YAML 1.1, where words like «no» and «on» are not what they seem',
  remedy: 'Remove the %YAML 1.1 directive.',
};

function placeOfBrokenByte(bytes: Uint8Array): Place {
  const decoder = new TextDecoder('utf-8');
  let line = 0;
  for (let start = 0; start <= bytes.byteLength; ) {
    line++;
    const newline = bytes.indexOf(10, start);
    const end = newline < 0 ? bytes.byteLength : newline;
    const broken = decoder.decode(bytes.subarray(start, end)).indexOf('\ufffd');
    if (broken >= 0) return { line, column: broken + 1 };
    start = end + 1;
  }
  return fileStart;
}

const remedies: Partial<Record<YAMLError['code'], string>> = {
  DUPLICATE_KEY: 'Remove one of the two, or give it another name.',
  TAB_AS_INDENT: 'Indent with spaces: YAML does not allow tabs there.',
  MULTIPLE_DOCS: 'Keep one document: remove the line «---» and what does not belong here.',
  BAD_INDENT: 'Make entries of the same level start in the same column.',
  TAG_RESOLVE_FAILED: 'Remove the tag (the word that begins with «!»).',
  NON_STRING_KEY: 'Keys are plain words.',
};

function complaintOf(error: YAMLError, lines: LineCounter): Complaint {
  const { line, col } = lines.linePos(error.pos[0]);
  const remedy = remedies[error.code] ?? 'Check quotes, colons and indentation around this place.';
  return { line: Math.max(line, 1), column: Math.max(col, 1), message: `is not valid YAML: ${error.message}`, remedy };
}

/** Keys that stand twice, and things that contain themselves. Linear in the size of the document. */
function contradictions(document: Document, lines: LineCounter): Complaint[] {
  const found: { readonly offset: number; readonly message: string; readonly remedy: string }[] = [];
  visit(document, {
    Map(_, map) {
      for (const { value, offset } of repeatedKeys(map)) {
        const message = `is not valid YAML: the key «${value}» stands here twice`;
        found.push({ offset, message, remedy: remedies.DUPLICATE_KEY! });
      }
    },
    Alias(_, alias, ancestors) {
      if (!ancestors.some((one) => isNode(one) && 'anchor' in one && one.anchor === alias.source)) return;
      const message = `contains itself: *${alias.source} stands within &${alias.source}`;
      found.push({ offset: alias.range?.[0] ?? 0, message, remedy: 'Write out what is meant.' });
    },
  });
  return found
    .toSorted((a, b) => a.offset - b.offset)
    .map(({ offset, message, remedy }) => {
      const { line, col } = lines.linePos(offset);
      return { line: Math.max(line, 1), column: Math.max(col, 1), message, remedy };
    });
}

function repeatedKeys(map: YAMLMap): { value: string; offset: number }[] {
  const seen = new Set<unknown>();
  return map.items.flatMap(({ key }) => {
    if (!isScalar(key)) return [];
    const isAgain = seen.has(key.value);
    seen.add(key.value);
    return isAgain ? [{ value: String(key.value), offset: key.range?.[0] ?? 0 }] : [];
  });
}

function limitComplaint(error: unknown): Complaint {
  const message = messageOf(error);
  if (error instanceof RangeError) {
    return { ...fileStart, message: 'is nested too deeply', remedy: 'Check that --config names the right file.' };
  }
  if (message.startsWith('Unresolved alias')) {
    return {
      ...fileStart,
      message: `has an alias without an anchor: ${message}`,
      remedy: 'Define the anchor (&name) before the alias (*name).',
    };
  }
  if (/alias/i.test(message)) {
    return {
      ...fileStart,
      message: `expands its aliases more than ${mostAliases} times`,
      remedy: 'Write things out, or use policies: they are there to be shared by many sources.',
    };
  }
  return { ...fileStart, message: `cannot be read as YAML: ${message}`, remedy: 'Correct the file.' };
}

function locate(document: Document, lines: LineCounter, path: ConfigPath, part: 'key' | 'value'): Place {
  let node: unknown = document.contents;
  let offset = offsetOf(node) ?? 0;
  for (const [depth, step] of path.entries()) {
    const target = isAlias(node) ? node.resolve(document) : node;
    const found = childOf(target, step);
    if (!found) break;
    const last = depth === path.length - 1;
    const valueOffset = isEmpty(found.value) ? undefined : offsetOf(found.value);
    // The way to something that is missing ends at the key of what it is missing in.
    offset = (last && part === 'value' ? valueOffset : undefined) ?? offsetOf(found.key) ?? valueOffset ?? offset;
    node = found.value;
  }
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

function childOf(node: unknown, step: string | number): { key: unknown; value: unknown } | undefined {
  if (isSeq(node) && typeof step === 'number') return { key: undefined, value: node.items[step] };
  if (!isMap(node)) return undefined;
  return indexOf(node).get(step);
}

const indexes = new WeakMap<object, ReadonlyMap<unknown, { key: unknown; value: unknown }>>();

/** Of thousands of entries, many may have something to be told of. */
function indexOf(map: YAMLMap): ReadonlyMap<unknown, { key: unknown; value: unknown }> {
  const known = indexes.get(map);
  if (known) return known;
  const made = new Map(map.items.map((pair) => [isScalar(pair.key) ? pair.key.value : pair.key, pair]));
  indexes.set(map, made);
  return made;
}

function isEmpty(node: unknown): boolean {
  return node === null || (isScalar(node) && node.value === null && node.source === '');
}

function offsetOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0];
}
