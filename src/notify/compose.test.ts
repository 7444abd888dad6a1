import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type EventType, type HoldfastEvent, severityOf } from '../model/event.ts';
import { compose, type Telling, withoutOvertaken } from './compose.ts';
import { plain, render } from './render.ts';
import { characters, cut, oneLine, utf8Bytes } from './text.ts';

const event = (id: string, type: EventType, more: Partial<HoldfastEvent> = {}): HoldfastEvent => ({
  id,
  type,
  severity: severityOf(type),
  atMs: Date.UTC(2026, 10, 21, 3),
  title: `the ${type.split('.')[0]} of ${more.source ?? 'shop'} failed`,
  source: 'shop',
  facts: {},
  ...more,
});

const telling = (one: HoldfastEvent, more: Partial<Telling> = {}): Telling => ({
  event: one,
  times: 1,
  sinceMs: one.atMs,
  isRecovery: false,
  ...more,
});

function folding(tellings: readonly Telling[]) {
  const { told, folded } = withoutOvertaken(tellings);
  return { message: compose(told), folded };
}

describe('a message', () => {
  test('of one event says what, why, what to do, and where to look', () => {
    const failure = event('1', 'backup.failed', {
      repository: 'nas',
      policy: 'nightly',
      run: '01RUN',
      message: '10.0.0.9 did not answer',
      remedy: 'Check the NAS.',
      errorCode: 'storage.unreachable',
    });
    const message = compose([telling(failure)], { serverUrl: 'https://backup.example' });
    expect(message).toMatchObject({ id: '1', severity: 'error', mood: 'bad', title: 'The backup of shop failed' });
    expect(message.link).toBe('https://backup.example/');
    const text = render(message, plain, { most: 4000, titleElsewhere: true });
    expect(text.split('\n')).toEqual([
      '10.0.0.9 did not answer',
      'What to do: Check the NAS.',
      expect.stringMatching(
        /^source shop · repository nas · policy nightly · run 01RUN · storage\.unreachable · 2026-11-2\d \d\d:\d\d /,
      ),
      '',
      'https://backup.example/',
    ]);
  });

  test('of twenty failures at once counts them and names some', () => {
    const failures = Array.from({ length: 20 }, (_, i) => event(`${i}`, 'backup.failed', { source: `app-${i}` }));
    const message = compose([...failures, event('99', 'drill.failed')].map((one) => telling(one)));
    expect(message.title).toBe('20 backups failed, 1 drill failed: app-0, app-1, app-10 and 18 more');
    expect(message.items).toHaveLength(21);
  });

  test('tells the same failure once, with how often', () => {
    const first = event('1', 'backup.failed');
    const second = event('2', 'backup.failed');
    const { message, folded } = folding([
      telling(first),
      telling(second, { times: 7, sinceMs: first.atMs - 6 * 3_600_000 }),
    ]);
    expect(folded).toEqual(['1']);
    expect(message.title).toMatch(/^The backup of shop failed \(7 times since 2026-11-2\d \d\d:\d\d /);
  });

  test('tells of a recovery instead of the failures that were not told yet', () => {
    const failure = event('1', 'backup.failed');
    const success = event('2', 'backup.succeeded', { title: 'shop was backed up' });
    const { message, folded } = folding([telling(failure), telling(success, { isRecovery: true, times: 3 })]);
    expect(folded).toEqual(['1']);
    expect(message).toMatchObject({ mood: 'good', severity: 'info' });
    expect(message.title).toMatch(/^Shop was backed up \(it had failed 3 times since /);
  });

  test('a failure after a recovery is told beside it', () => {
    const success = event('1', 'backup.succeeded', { title: 'shop was backed up' });
    const { message, folded } = folding([telling(success, { isRecovery: true }), telling(event('2', 'backup.failed'))]);
    expect(folded).toEqual([]);
    expect(message).toMatchObject({
      mood: 'bad',
      severity: 'error',
      title: '1 backup failed, 1 backup succeeded: shop',
    });
  });
});

describe('texts', () => {
  test('are cut where a reader sees the end of a character', () => {
    expect(cut('abc', 3)).toBe('abc');
    expect(cut('abcd', 3)).toBe('ab…');
    expect(cut('👩‍👩‍👧‍👦👩‍👩‍👧‍👦', 14)).toBe('👩‍👩‍👧‍👦…');
    expect(cut('👩‍👩‍👧‍👦', 4)).toBe('…');
    expect(cut('e\u0301e\u0301e\u0301', 4)).toBe('e\u0301…');
  });

  test('never hold half a character and never get longer than they may', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', ' ', 'é', 'e\u0301', '👩', '\u200d', '👧🏽', '🇪🇸', '\r', '\n', 'क्षि') }),
        fc.integer({ min: 0, max: 40 }),
        (text, most) => {
          const short = cut(text, most);
          expect(short.length).toBeLessThanOrEqual(most);
          expect(short.isWellFormed()).toBe(true);
        },
      ),
    );
  });

  test('of a thousand events at once are made without holding up the program', () => {
    const events = Array.from({ length: 1000 }, (_, i) =>
      event(String(i).padStart(4, '0'), 'backup.failed', { source: `app-${i}`, message: 'x'.repeat(5000) }),
    );
    const message = compose(events.map((one) => telling(one)));
    const text = render(message, plain, { most: 4000 });
    expect(text.length).toBeLessThanOrEqual(4000);
    expect(text).toMatch(/and 9\d\d more$/);
  });

  test('hold no line ends, control characters, or marks that turn writing around', () => {
    expect(oneLine('a\r\nb\u0000c\u001b[31md\u202ee\u2028f')).toBe('a b c [31md e f');
  });

  test.each([
    { what: 'bytes', size: utf8Bytes, most: 300 },
    { what: 'code points', size: characters, most: 220 },
    { what: 'UTF-16 units', size: (text: string) => text.length, most: 150 },
  ])('keep to a limit in $what, say what was left out, and keep escapes whole', ({ size, most }) => {
    const markup = { ...plain, escape: (raw: string) => raw.replace(/[&<]/g, '&amp;') };
    const some = fc.record({
      source: fc.string({ unit: 'grapheme', minLength: 1 }),
      message: fc.string({ unit: 'grapheme', maxLength: 3000 }),
    });
    fc.assert(
      fc.property(fc.array(some, { minLength: 1, maxLength: 40 }), (items) => {
        const tellings = items.map(({ source, message }, i) =>
          telling(
            event(String(i).padStart(3, '0'), 'backup.failed', {
              source,
              message: `&${message}`,
              remedy: '<&'.repeat(900),
            }),
          ),
        );
        const message = compose(tellings);
        const text = render(message, markup, { most, size });
        expect(size(text)).toBeLessThanOrEqual(most);
        expect(text.isWellFormed()).toBe(true);
        expect(text.replaceAll('&amp;', '')).not.toContain('&');
        expect(text.length).toBeGreaterThan(0);
      }),
      { numRuns: 60 },
    );
  });
});
