import { execFileSync, spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EnvelopeReader, envelopeScript } from './envelope.ts';

const token = 'a0'.repeat(16);

function read(stream: Buffer, cuts: Iterator<number>): { content: Buffer; reader: EnvelopeReader } {
  const reader = new EnvelopeReader(token);
  const parts: Buffer[] = [];
  for (let at = 0; at < stream.length; ) {
    const length = cuts.next().value as number;
    parts.push(...reader.push(stream.subarray(at, at + length)));
    at += length;
  }
  parts.push(reader.release());
  return { content: Buffer.concat(parts), reader };
}

/** Bytes that often look like the start of a mark. */
const content = fc.array(fc.constantFrom('\x1c', '\x1ca0', 'a0', `\x1c${token}`, token, '.', '\n', 'x'), {
  maxLength: 40,
});

/** No program prints the mark: it is random. */
function withoutMark(text: string): string {
  return text.includes(`\x1c${token}.`) ? withoutMark(text.replaceAll(`\x1c${token}.`, '')) : text;
}

const cuts = fc.infiniteStream(fc.integer({ min: 1, max: 40 }));

test('what is between the marks comes unchanged, and the end is seen, however the stream is cut', () => {
  fc.assert(
    fc.property(content, cuts, (words, lengths) => {
      const inside = withoutMark(words.join(''));
      const { content: found, reader } = read(Buffer.from(`${token} 42\n${inside}\x1c${token}.`), lengths);
      expect(found.toString()).toBe(inside);
      expect([reader.hello, reader.complete]).toEqual(['42', true]);
    }),
  );
});

test('a stream that is cut anywhere is not complete, and gives nothing but a start of the content', () => {
  fc.assert(
    fc.property(content, cuts, fc.double({ min: 0, max: 1, noNaN: true }), (words, lengths, where) => {
      const inside = withoutMark(words.join(''));
      const whole = Buffer.from(`${token} 42\n${inside}\x1c${token}.`);
      const { content: found, reader } = read(whole.subarray(0, Math.floor(where * (whole.length - 1))), lengths);
      expect(reader.complete).toBe(false);
      // what may be the start of the last mark is content until it is known to be one
      if (reader.hello !== undefined) expect(`${inside}\x1c${token}.`.startsWith(found.toString())).toBe(true);
    }),
  );
});

test('what is printed after the end, by what a program left running, still comes', () => {
  const { content: found, reader } = read(Buffer.from(`${token} 1\nab\x1c${token}.later`), forever(6));
  expect(found.toString()).toBe('ablater');
  expect(reader.complete).toBe(true);
});

function* forever(length: number): Generator<number, never> {
  for (;;) yield length;
}

test('the shell around a program says its id, hands its words and status on, and says what is missing', () => {
  const run = (...argv: string[]) =>
    spawnSync('sh', ['-c', envelopeScript, 'sh', token, ...argv], { input: 'in', encoding: 'utf8' });
  const printed = run('printf', '%s|', '$(x)', "'", '', '-n');
  expect(printed.stdout).toMatch(new RegExp(`^${token} \\d+\\n\\$\\(x\\)\\|'\\|\\|-n\\|\x1c${token}\\.$`));
  expect(run('sh', '-c', 'exit 7').status).toBe(7);
  expect(run('cat').stdout).toContain(`\nin\x1c${token}.`);
  expect(run('holdfast-no-such-program').stdout).toBe(`${token} missing\n`);
  // a word the shell itself knows is a program like any other
  expect(run('exec', 'true').stdout).not.toContain(`\x1c${token}.\n`);
  expect(execFileSync('sh', ['-n', '-c', envelopeScript], { encoding: 'utf8' })).toBe('');
});
