import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Secret } from '../../base/secrets.ts';
import { localHost } from '../../hosts/local/index.ts';
import { unattended } from '../conformance/context.ts';
import type { Capture, Entry, SnapshotContents, SourceContext } from '../driver.ts';
import { command } from './index.ts';
import { masker } from './programs.ts';
import type { Settings } from './settings.ts';

const host = localHost();
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-command-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const clear = (secret: string) => ({ from: 'clear' as const, secret: new Secret(secret) });
const sourceOf = (settings: object, more: Partial<SourceContext<Settings>> = {}) =>
  unattended<Settings>({ name: 'things', settings: command.settings.parse(settings), host, local: host, ...more });

/** Every file of a capture, read as the engine does: all at once. */
async function readAll(capture: Capture): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  const walk = async (entry: Entry, path: string): Promise<void> => {
    if (entry.kind === 'dir') {
      await Promise.all((await entry.children()).map((child) => walk(child, `${path}/${child.attributes.name}`)));
    } else if (entry.kind === 'file') {
      const reader = await entry.open();
      const into = Buffer.alloc(1 << 16);
      const parts: string[] = [];
      try {
        for (let n = await reader.read(into); n > 0; n = await reader.read(into))
          parts.push(into.toString('latin1', 0, n));
      } finally {
        await reader.close();
      }
      files[path] = parts.join('');
    }
  };
  await walk(capture.root, '');
  return files;
}

async function backUp(settings: object, more: Partial<SourceContext<Settings>> = {}) {
  await using capture = await command.capture(sourceOf(settings, more));
  const files = await readAll(capture);
  await capture.complete();
  return { files, notes: capture.notes(), paths: capture.paths };
}

/** A snapshot of one output. */
function snapshotOf(output: string): SnapshotContents {
  const attributes = { mode: 0o644, size: output.length };
  const folderNode = { ...attributes, name: 'command', type: 'dir' };
  const file = { ...attributes, name: 'dump', type: 'file' };
  return {
    id: 'abcdef0123456789',
    paths: ['/command/dump'],
    node: async (path: string) => (path === '/command' ? folderNode : undefined),
    children: async () => [file],
    read: async function* () {
      for (let at = 0; at < output.length; at += 60_000) yield Buffer.from(output.slice(at, at + 60_000), 'latin1');
    },
    writeTree: async (_: string, directory: string) => {
      writeFileSync(join(directory, 'dump'), output, 'latin1');
      return { files: 1, bytes: output.length, problems: [] };
    },
  } as unknown as SnapshotContents;
}

const restoring = { host, dryRun: false, overwrite: false };

test('what a program prints becomes one file, with its size and digest beside it', async () => {
  const { files, paths } = await backUp({ command: ['printf', 'a%sc', 'b'] });
  expect(paths).toEqual(['/command/printf']);
  expect(files['/command/printf']).toBe('abc');
  const { facts } = JSON.parse(files['/.holdfast/fingerprint.json']) as { facts: { value: string }[] };
  expect(facts.map(({ value }) => value)).toEqual([
    '3',
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  ]);
  expect(JSON.parse(files['/.holdfast/source.json'])).toMatchObject({ program: 'printf', status: 0 });
});

test('a line for the shell needs to be written as one; arguments of a command are never looked at by a shell', async () => {
  expect((await backUp({ shell: 'echo $((6 * 7))' })).files['/command/output']).toBe('42\n');
  expect((await backUp({ command: ['echo', '$((6 * 7))'] })).files['/command/echo']).toBe('$((6 * 7))\n');
});

test.each([
  ['an exit status', { shell: 'echo half; echo no more >&2; exit 3' }, /ended with status 3: no more$/],
  ['a signal', { shell: 'echo half; kill -KILL $$' }, /was killed by SIGKILL/],
  ['no output', { command: ['true'] }, /printed nothing$/],
  ['too little', { command: ['echo'], minBytes: 2 }, /1 bytes, and minBytes is 2/],
  ['too much', { command: ['yes'], maxBytes: 100_000 }, /more than the 100000 bytes/],
  ['no such program', { command: ['/nowhere/x'] }, /not found/],
])('%s ends the backup', async (_, settings, message) => {
  await expect(backUp(settings)).rejects.toThrow(message);
});

test('other exit statuses and silence can be allowed', async () => {
  const { notes, files } = await backUp({ shell: 'exit 1', okStatus: [0, 1], allowEmpty: true });
  expect(files['/command/output']).toBe('');
  expect(notes).toEqual(['the command ended with status 1, which okStatus allows']);
});

test('a backup that is cancelled kills the command, and ends when that is gone', async () => {
  const stop = new AbortController();
  const slowToGo = `trap 'sleep 1; exit' TERM; echo $$ > ${folder}/pid; echo begun; while :; do sleep 0.05; done`;
  const running = backUp({ shell: slowToGo }, { signal: stop.signal });
  running.catch(() => {});
  await expect.poll(() => existsSync(join(folder, 'pid')) && statSync(join(folder, 'pid')).size).toBeGreaterThan(0);
  stop.abort();
  await expect(running).rejects.toMatchObject({ code: 'cancelled' });
  const pid = readFileSync(join(folder, 'pid'), 'utf8').trim();
  expect(readdirSync('/proc').includes(pid)).toBe(false);
});

test('secrets reach the program in its environment only, and no message repeats them', async () => {
  const password = 's3cret/päss word';
  const settings = {
    shell: `tr '\\0' '\\n' < /proc/$$/cmdline > ${folder}/cmdline; printf %s "$PGPASSWORD"; echo "bad: $PGPASSWORD" >&2; exit $STATUS`,
    env: { STATUS: '0' },
    secrets: { PGPASSWORD: clear(password) },
  };
  const { files } = await backUp(settings);
  expect(Buffer.from(files['/command/output'], 'latin1').toString()).toBe(password);
  expect(files['/.holdfast/source.json']).not.toContain('s3cret');
  expect(readFileSync(join(folder, 'cmdline'), 'utf8')).not.toContain('s3cret');
  const failed = backUp({ ...settings, env: { STATUS: '1' } });
  await expect(failed).rejects.toThrow('ended with status 1: bad: [secret]');
});

test('a masked text holds no secret, in whatever order they contain each other', () => {
  const words = fc.array(fc.string({ minLength: 4, maxLength: 12, unit: fc.constantFrom('x', 'y', '/', 'ä') }));
  fc.assert(
    fc.property(words, fc.string(), (secrets, around) => {
      const masked = masker(secrets)(secrets.map((secret) => `${around}${secret}`).join('|'));
      for (const secret of secrets) expect(masked.replaceAll(around, '')).not.toContain(secret);
    }),
  );
});

test('a restore command gets every byte on stdin, and its failure is an error with what it said', async () => {
  const output = 'x'.repeat(300_000);
  const restore = (argv: string[]) =>
    command.restore(sourceOf({ command: ['x'], restore: argv }), snapshotOf(output), restoring);
  const done = await restore(['sh', '-c', 'cat > "$0"; echo noise', join(folder, 'back')]);
  expect(done).toMatchObject({ bytes: 300_000, files: 1, problems: [] });
  expect(readFileSync(join(folder, 'back'), 'latin1')).toBe(output);
  await expect(restore(['sh', '-c', 'echo denied >&2; exit 7'])).rejects.toThrow(/status 7.*: denied$/);
  await expect(restore(['true'])).rejects.toThrow(/ended with status 0 after .* of 29\d(\.\d)? KiB/);
});

test('a restore to a file is private, and replaces nothing unless told to', async () => {
  const target = join(folder, 'dump.sql');
  const restore = (output: string, more: object = {}) =>
    command.restore(sourceOf({ command: ['x'] }), snapshotOf(output), { ...restoring, target, ...more });
  await restore('one', { dryRun: true });
  expect(readdirSync(folder)).toEqual([]);
  await restore('one');
  expect(statSync(target).mode & 0o077).toBe(0);
  await expect(restore('two')).rejects.toMatchObject({ code: 'restore.target-exists' });
  await restore('two', { overwrite: true });
  expect(readFileSync(target, 'utf8')).toBe('two');
  expect(readdirSync(folder)).toEqual(['dump.sql']);
});

test('without a restore command nothing is put back, and words that are no path are refused', async () => {
  const source = sourceOf({ command: ['x'] });
  await expect(command.restore(source, snapshotOf('x'), restoring)).rejects.toThrow('has no restore command');
  await expect(command.restore(source, snapshotOf('x'), { ...restoring, target: 'words' })).rejects.toThrow('neither');
});

test('a drill gives the copy to the verify command, on this machine, and fails with it', async () => {
  const checksWith = async (verify: string) => {
    const source = sourceOf({ command: ['x'], verify: ['sh', '-c', verify], secrets: { KEY: clear('hidden') } });
    const throwaway = { directory: folder, host };
    await using copy = await command.restoreThrowaway(source, snapshotOf('payload'), throwaway);
    return await copy.compare(undefined);
  };
  expect(await checksWith('test "$(cat)" = payload && cmp -s "$HOLDFAST_COPY" - < dump')).toMatchObject([{ ok: true }]);
  expect(await checksWith('head -c 1 > /dev/null')).toMatchObject([{ ok: true }]);
  expect(await checksWith('echo "no $KEY" >&2; exit 2')).toMatchObject([
    { subject: 'verify: sh', expected: '0', found: 'ended with status 2: no [secret]', ok: false },
  ]);
});

test('a probe says what is missing without running anything', async () => {
  const found = await command.probe(
    sourceOf({ command: ['touch', join(folder, 'ran')], restore: ['holdfast-no-such-program'] }),
  );
  expect(found.map(({ level }) => level)).toEqual(['ok', 'error', 'warning']);
  expect(readdirSync(folder)).toEqual([]);
});

test.each([
  [{}, 'neither command nor shell'],
  [{ command: ['a'], shell: 'b' }, 'stands beside'],
  [{ command: [] }, 'names no program'],
  [{ command: ['a'], filename: '../x' }, 'the name of a file'],
  [{ command: ['a'], env: { 'A-B': 'c' } }, 'Invalid key'],
  [{ command: ['a'], env: { A: 'c' }, secrets: { A: clear('x') } }, 'among the secrets'],
])('settings %j are refused', (settings, message) => {
  const parsed = command.settings.safeParse(settings);
  expect(JSON.stringify(parsed.error?.issues)).toContain(message);
});
