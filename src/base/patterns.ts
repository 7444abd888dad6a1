/**
 * Patterns that choose paths: for excludes of a backup, for `restore --include/--exclude`, for `find`.
 *
 * - `*` any characters but `/` · `?` one character · `[a-z]`, `[!a-z]`, `[^a-z]` one of a set · `\` takes the next character literally
 * - a component `**` stands for any number of directories, none included; `a/**` is everything inside `a`, not `a` itself
 * - a leading `/` anchors at the root of the file system; every other pattern fits at any depth
 * - a trailing `/` fits directories only
 * - a path also matches if one of its parent directories does
 * - a leading `!` takes back what an earlier pattern matched; the last pattern that fits decides
 *
 * These are restic's patterns, with gitignore's meaning of a trailing `/` and of a trailing `**`. Paths are absolute, see
 * `names.ts`. Patterns and paths come from anyone: whoever may search a snapshot writes some. So matching never tries one star
 * against another. Of what stands between two stars the first place that fits is taken for good, since a later one would
 * only leave less room for what follows; the same holds for what stands between two `**`.
 */
import { HoldfastError } from './errors.ts';

export interface PatternSet {
  /** True if the last pattern that fits `path`, or a directory above it, is not negated. */
  matches(path: string, isDirectory: boolean): boolean;
  /** False only if nothing below the directory `path` can match. */
  mayMatchBelow(path: string): boolean;
}

export interface Selection {
  /** `selected`: the thing itself is wanted. `descend`: something below the directory may be wanted. */
  select(path: string, isDirectory: boolean): { readonly selected: boolean; readonly descend: boolean };
}

interface Pattern {
  readonly negated: boolean;
  readonly fits: RegExp;
  /** Fits each directory below which the pattern can match. */
  readonly leadsTo: RegExp;
}

/** Throws `config.invalid` naming the first pattern that is malformed. */
export function compilePatterns(texts: readonly string[], options: { ignoreCase?: boolean } = {}): PatternSet {
  const flags = options.ignoreCase ? 'iu' : 'u';
  const patterns = texts.map((text) => compile(text, flags));
  const last = patterns.toReversed();
  const positive = patterns.filter((pattern) => !pattern.negated);
  return {
    matches(path, isDirectory) {
      const subject = isDirectory && path !== '/' ? `${path}/` : path;
      const decisive = last.find((pattern) => pattern.fits.test(subject));
      return decisive !== undefined && !decisive.negated;
    },
    mayMatchBelow(path) {
      const subject = path === '/' ? '' : path;
      return positive.some((pattern) => pattern.leadsTo.test(subject));
    },
  };
}

/** What is included (everything, without `include`) and not excluded. */
export function compileSelection(choice: {
  include?: readonly string[];
  exclude?: readonly string[];
  ignoreCase?: boolean;
}): Selection {
  const include = choice.include?.length ? compilePatterns(choice.include, choice) : undefined;
  const exclude = compilePatterns(choice.exclude ?? [], choice);
  return {
    select(path, isDirectory) {
      if (exclude.matches(path, isDirectory)) return { selected: false, descend: false };
      const selected = include === undefined || include.matches(path, isDirectory);
      return { selected, descend: isDirectory && (selected || include!.mayMatchBelow(path)) };
    },
  };
}

function compile(text: string, flags: string): Pattern {
  const negated = text.startsWith('!');
  const body = negated ? text.slice(1) : text;
  const anchored = body.startsWith('/');
  const components = body.split('/').filter((part) => part !== '' && part !== '.');
  if (body === '' || components.includes('..') || (components.length === 0 && !anchored)) {
    throw malformed(text, 'it names no path');
  }
  const sources = components.map((part, at) =>
    /^\*\*+$/.test(part) ? undefined : componentSource(part, { text, name: `c${at}` }),
  );
  try {
    return {
      negated,
      fits: new RegExp(fitsSource(sources, anchored, body.endsWith('/')), flags),
      leadsTo: anchored ? new RegExp(`^${leadsToSource(sources)}$`, flags) : /^/,
    };
  } catch (cause) {
    throw malformed(text, 'a set in brackets is malformed', cause);
  }
}

/** `undefined` stands for `**`. */
function fitsSource(sources: readonly (string | undefined)[], anchored: boolean, directoriesOnly: boolean): string {
  const start = anchored ? '^/' : '(?:^|/)';
  if (sources.length === 0) return start;
  const end = directoriesOnly ? '/' : '(?:/|$)';
  // What stands between two `**`, each component with the slash after it.
  const runs: string[] = [''];
  for (const [at, source] of sources.entries()) {
    const isLast = at === sources.length - 1;
    if (source !== undefined) runs.push(`${runs.pop()}${source}${isLast ? end : '/'}`);
    else if (isLast) runs.push(`${runs.pop()}[^/]+${end}`);
    else if (at === 0 || sources[at - 1] !== undefined) runs.push('');
  }
  return `${start}${joined(runs, '(?:[^/]+/)', 'd')}`;
}

/**
 * Pieces with any number of `one` between them. All but the first and the last are looked for once, from the left: what is
 * in a lookahead is not tried anew. `name`: of the groups, for each call within a regular expression another one.
 */
export function joined(pieces: readonly string[], one: string, name: string): string {
  return pieces
    .map((piece, at) => {
      if (at === 0) return piece;
      const group = `${name}_${at}`;
      return at === pieces.length - 1 ? `${one}*${piece}` : `(?=(?<${group}>${one}*?${piece}))\\k<${group}>`;
    })
    .join('');
}

/** `/a/*` becomes `(?:/a(?:/[^/]*(?:/.*)?)?)?`: every path on the way, and everything below the end. */
function leadsToSource(sources: readonly (string | undefined)[]): string {
  const end = sources.indexOf(undefined);
  const fixed = (end < 0 ? sources : sources.slice(0, end)) as readonly string[];
  return fixed.reduceRight((inner, source) => `(?:/${source}${inner})?`, '(?:/[^]*)?');
}

/** A set in brackets (a `]` in first place is a member), an escaped character, a run of stars, or any one character. */
const tokens = /\[[!^]?\]?(?:\\.|[^\]\\])*\]|\\.|\*+|./gsu;

function componentSource(part: string, { text, name }: { readonly text: string; readonly name: string }): string {
  const pieces: string[] = [''];
  for (const [token] of part.matchAll(tokens)) {
    if (token.startsWith('*')) pieces.push('');
    else pieces.push(`${pieces.pop()}${characterSource(token, text)}`);
  }
  return joined(pieces, '[^/]', name);
}

function characterSource(token: string, text: string): string {
  if (token === '[') throw malformed(text, 'a bracket is not closed');
  if (token === '\\') throw malformed(text, 'nothing follows the last backslash');
  if (token.startsWith('[')) return setSource(token.slice(1, -1));
  if (token === '?') return '[^/]';
  return literal(token.startsWith('\\') ? token.slice(1) : token);
}

function setSource(content: string): string {
  const inverted = /^[!^]/.test(content);
  const members = inverted ? content.slice(1) : content;
  const source = members.replace(/\\(.)|([^\\])-([^\\])|./gsu, (member, escaped, from, to) => {
    if (from !== undefined) return `${setMember(from)}-${setMember(to)}`;
    return setMember(escaped ?? member);
  });
  return `(?!/)[${inverted ? '^' : ''}${source}]`;
}

function setMember(char: string): string {
  return /[\\\]^[-]/.test(char) ? `\\${char}` : char;
}

function literal(char: string): string {
  return /[\^$\\.*+?()[\]{}|/]/.test(char) ? `\\${char}` : char;
}

function malformed(text: string, reason: string, cause?: unknown): HoldfastError {
  return new HoldfastError({
    code: 'config.invalid',
    message: `the pattern "${text}" is malformed: ${reason}`,
    remedy: 'Correct the pattern; a backslash before a special character takes it literally.',
    cause,
  });
}
