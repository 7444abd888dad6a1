import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compilePatterns, compileSelection } from './patterns.ts';

const matches = (patterns: string | string[], path: string, isDirectory = false): boolean =>
  compilePatterns([patterns].flat()).matches(path, isDirectory);

describe('a single pattern', () => {
  test.each([
    ['*.log', '/var/x.log', true],
    ['*.log', '/x.log/below/it', true],
    ['*.log', '/x.logs', false],
    ['cache', '/a/cache/b', true],
    ['cache', '/a/my-cache', false],
    ['/cache', '/a/cache', false],
    ['/srv/cache', '/srv/cache/x', true],
    ['/srv/cache', '/srv/cachet', false],
    ['a/b', '/x/a/b', true],
    ['a/b', '/x/a/c/b', false],
    ['a/**/b', '/x/a/b', true],
    ['a/**/b', '/x/a/c/d/b', true],
    ['/a/**/**/b', '/a/c/b', true],
    ['/a/**', '/a', false],
    ['/a/**', '/a/b', true],
    ['**/b', '/b', true],
    ['/', '/anything', true],
    ['f?o', '/foo', true],
    ['f?o', '/f/o', false],
    ['[a-c]x', '/bx', true],
    ['[!a-c]x', '/bx', false],
    ['[^a-c]x', '/dx', true],
    ['[!a]x', '//x', false],
    ['[]]x', '/]x', true],
    ['[a-]x', '/-x', true],
    ['[\\]]x', '/]x', true],
    ['\\*', '/*', true],
    ['\\*', '/a', false],
    ['a.b', '/aXb', false],
    ['line\nbreak', '/line\nbreak', true],
    ['*', '/line\nbreak', true],
    ['?', '/\u{1f600}', true],
    ['?.x', '/\udcff.x', true],
    ['\\!x', '/!x', true],
    ['./a//b/', '/a/b/c', true],
  ])('%j on %j: %j', (pattern, path, expected) => {
    expect(matches(pattern, path)).toBe(expected);
  });

  test('a trailing slash fits directories, and what is in them', () => {
    expect(matches('tmp/', '/a/tmp', true)).toBe(true);
    expect(matches('tmp/', '/a/tmp', false)).toBe(false);
    expect(matches('tmp/', '/a/tmp/file', false)).toBe(true);
  });

  test.each(['', '!', '[a', '[z-a]', 'a\\', '..', 'a/../b', './'])('%j is refused', (pattern) => {
    expect(() => compilePatterns([pattern])).toThrow(expect.objectContaining({ code: 'config.invalid' }));
  });
});

test('the last pattern that fits decides', () => {
  const patterns = ['*.log', '!keep.log', '/tmp/keep.log'];
  expect(matches(patterns, '/a.log')).toBe(true);
  expect(matches(patterns, '/keep.log')).toBe(false);
  expect(matches(patterns, '/tmp/keep.log')).toBe(true);
});

test('case is ignored when asked', () => {
  expect(compilePatterns(['*.LOG'], { ignoreCase: true }).matches('/a.log', false)).toBe(true);
});

describe('a selection', () => {
  test('without include everything is wanted that is not excluded', () => {
    const { select } = compileSelection({ exclude: ['*.tmp'] });
    expect(select('/a', true)).toEqual({ selected: true, descend: true });
    expect(select('/a/b.tmp', false)).toEqual({ selected: false, descend: false });
  });

  test('an anchored include leads down its own path only', () => {
    const { select } = compileSelection({ include: ['/srv/*/data'] });
    expect(select('/srv', true)).toEqual({ selected: false, descend: true });
    expect(select('/srv/app', true)).toEqual({ selected: false, descend: true });
    expect(select('/etc', true)).toEqual({ selected: false, descend: false });
    expect(select('/srv/app/logs', true)).toEqual({ selected: false, descend: false });
    expect(select('/srv/app/data/x', true)).toEqual({ selected: true, descend: true });
  });

  test('** and patterns without an anchor lead everywhere below', () => {
    expect(compileSelection({ include: ['/a/**/x'] }).select('/a/b/c', true).descend).toBe(true);
    expect(compileSelection({ include: ['/a/**/x'] }).select('/b', true).descend).toBe(false);
    expect(compileSelection({ include: ['x'] }).select('/b', true).descend).toBe(true);
  });
});

const component = fc.stringMatching(/^[ab*?]{1,4}$/);

test('whatever matches lies below directories that may match below', () => {
  fc.assert(
    fc.property(
      fc.array(component, { minLength: 1, maxLength: 4 }),
      fc.array(fc.stringMatching(/^[ab]{1,3}$/), { minLength: 1, maxLength: 5 }),
      (pattern, path) => {
        const set = compilePatterns([`/${pattern.join('/')}`]);
        if (!set.matches(`/${path.join('/')}`, false)) return;
        for (let depth = 0; depth < path.length; depth++) {
          expect(set.mayMatchBelow(`/${path.slice(0, depth).join('/')}`)).toBe(true);
        }
      },
    ),
  );
});

test('a literal name matches itself, whatever it holds', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), (raw) => {
      const name = raw.replaceAll('/', '');
      if (name === '' || name === '.' || name === '..') return;
      const escaped = [...name].map((char) => (/[\\*?[!]/.test(char) ? `\\${char}` : char)).join('');
      expect(matches(`/${escaped}`, `/${name}`)).toBe(true);
    }),
  );
});

/** The meaning of a pattern, tried out: slow, and easy to see through. */
function fitsPlainly(pattern: readonly string[], path: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return true;
  if (first !== '**') return path.length > 0 && nameFits(first, path[0]) && fitsPlainly(rest, path.slice(1));
  if (rest.length === 0) return path.length > 0;
  return path.some((_, at) => fitsPlainly(rest, path.slice(at)));
}

function nameFits(pattern: string, name: string): boolean {
  if (pattern === '') return name === '';
  if (pattern.startsWith('*')) {
    return Array.from({ length: name.length + 1 }, (_, at) => at).some((at) =>
      nameFits(pattern.slice(1), name.slice(at)),
    );
  }
  return (pattern[0] === '?' ? name !== '' : pattern[0] === name[0]) && nameFits(pattern.slice(1), name.slice(1));
}

test('a pattern fits what trying out all there is says it fits', () => {
  const parts = fc.array(fc.oneof(fc.constant('**'), fc.stringMatching(/^[ab*?]{1,6}$/)), {
    minLength: 1,
    maxLength: 5,
  });
  const names = fc.array(fc.stringMatching(/^[ab]{1,6}$/), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(parts, names, (given, path) => {
      const pattern = given.map((part) => (/^\*+$/.test(part) && part.length > 2 ? '**' : part));
      expect(matches(`/${pattern.join('/')}`, `/${path.join('/')}`)).toBe(fitsPlainly(pattern, path));
    }),
    { numRuns: 500 },
  );
});

test.each([
  `${'*?'.repeat(40)}*Z`,
  `/srv/${'*a'.repeat(40)}`,
  `${'**/*/'.repeat(40)}Z`,
  `/${'**/s*/'.repeat(40)}*a*b*`,
])('no pattern keeps a server from its other work: %s', (pattern) => {
  const path = `/srv/${'a-rather-ordinary-name/'.repeat(40)}that-has-more-than-a-few-letters.pdf`;
  const look = (): boolean => {
    const set = compilePatterns([pattern]);
    return set.matches(path, false) || set.mayMatchBelow(`${path}Z`);
  };
  expect(() => runInNewContext('look()', { look }, { timeout: 10_000 }) as boolean).not.toThrow();
});
