import { Writable } from 'node:stream';
import { expect, it } from 'vitest';
import { Screen } from './screen.ts';

function screenOf(options: { json: boolean; isTTY?: boolean }) {
  const text = { stdout: '', stderr: '' };
  const clock = { nowMs: () => 0, monotonicMs: () => time.ms, sleep: async () => {} };
  const time = { ms: 0 };
  const sink = (name: 'stdout' | 'stderr') =>
    Object.assign(
      new Writable({
        write(chunk, _encoding, done) {
          text[name] += String(chunk);
          done();
        },
      }),
      { isTTY: options.isTTY ?? false, columns: 80 },
    );
  return {
    screen: new Screen({ json: options.json, stdout: sink('stdout'), stderr: sink('stderr'), clock }),
    text,
    time,
  };
}

const progress = { type: 'progress', stage: 'store', bytesDone: 1024 } as const;

it('prints results to stdout and everything on the way to stderr', () => {
  const { screen, text, time } = screenOf({ json: false });
  screen.report({ type: 'warning', code: 'x', message: 'mind\u001b[0m this' });
  screen.report(progress);
  time.ms = 20_000;
  screen.report(progress);
  screen.result({ a: 1 }, 'done');
  expect(text.stdout).toBe('done\n');
  expect(text.stderr).toBe('warning: mind\\u{1b}[0m this\nstore · 1.00 KiB · 0 B/s\n');
});

it('paints one line on a terminal and wipes it before it says anything', () => {
  const { screen, text } = screenOf({ json: false, isTTY: true });
  screen.report({ type: 'stage', stage: 'lock', subject: 'app' });
  screen.report(progress);
  screen.result({}, 'done');
  expect(text.stderr).toBe('\r\u001b[Klock · app\r\u001b[Kstore · 1.00 KiB\r\u001b[K');
});

it('prints one document, or lines of which the last is the result', () => {
  const one = screenOf({ json: true });
  one.screen.report(progress);
  one.screen.result({ a: 1 }, 'unused');
  expect(JSON.parse(one.text.stdout)).toEqual({ a: 1 });
  const many = screenOf({ json: true });
  many.screen.makesProgress();
  many.screen.report({ type: 'stage', stage: 'lock' });
  many.screen.report(progress);
  many.screen.report(progress);
  many.screen.result({ a: 1 }, 'unused');
  expect(
    many.text.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual([{ type: 'stage', stage: 'lock' }, progress, { type: 'result', a: 1 }]);
  expect(many.text.stderr).toBe('');
});

it('says errors with their remedy, in the form that was asked for', () => {
  const error = { code: 'snapshot.unknown', message: 'no such thing', remedy: 'look elsewhere' } as const;
  const plain = screenOf({ json: false });
  plain.screen.error(error);
  expect(plain.text).toEqual({ stdout: '', stderr: 'holdfast: no such thing\n  look elsewhere\n' });
  const json = screenOf({ json: true });
  json.screen.error(error);
  expect(JSON.parse(json.text.stdout)).toEqual({ type: 'error', ...error });
});
