import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { localHost } from '../../hosts/local/index.ts';
import type { RunEvent } from '../../model/run.ts';
import { unattended } from '../conformance/context.ts';
import type { Capture, Entry, FileEntry, SourceContext } from '../driver.ts';
import { filesDriver } from './index.ts';
import type { FilesSettings } from './settings.ts';

const isRoot = process.geteuid!() === 0;
let base: string;
let events: RunEvent[];
beforeEach(() => {
  base = fs.mkdtempSync(join(fs.realpathSync(tmpdir()), 'holdfast-source-'));
  fs.chmodSync(base, 0o755);
  events = [];
});
afterEach(() => execFileSync('rm', ['-rf', base]));

function source(settings: Record<string, unknown>): SourceContext<FilesSettings> {
  return unattended({
    ...{ name: 'test', host: localHost(), local: localHost() },
    settings: filesDriver.settings.parse({ paths: [base], ...settings }),
    report: (event) => void events.push(event),
  });
}

/** Makes files (directories end with a slash) with their own name as content. */
function make(...names: string[]): void {
  for (const name of names) {
    fs.mkdirSync(join(base, name.endsWith('/') ? name : join(name, '..')), { recursive: true });
    if (!name.endsWith('/')) fs.writeFileSync(join(base, name), name);
  }
}

/** Every path below the base in order, directories with a slash; what leads to the base is checked on the way. */
async function walk(capture: Capture, onFile: (entry: FileEntry, path: string) => void = () => {}): Promise<string[]> {
  const found: string[] = [];
  const visit = async (entry: Entry, path: string): Promise<void> => {
    found.push(entry.kind === 'dir' ? `${path}/` : path);
    if (entry.kind === 'file') onFile(entry, path);
    if (entry.kind !== 'dir') return;
    for (const child of await entry.children()) await visit(child, `${path}/${child.attributes.name}`);
  };
  await visit(capture.root, '');
  await capture.complete();
  return found
    .filter((path) => path.startsWith(`${base}/`) && path.length > base.length + 1)
    .map((path) => path.slice(base.length + 1));
}

const captured = async (settings: Record<string, unknown>): Promise<string[]> => {
  await using capture = await filesDriver.capture(source(settings));
  return await walk(capture);
};

describe('the tree', () => {
  test('has the full path of the source, with the attributes of the directories above', async () => {
    make('a/b/file');
    fs.chmodSync(join(base, 'a'), 0o751);
    await using capture = await filesDriver.capture(source({ paths: [join(base, 'a/b')] }));
    expect(await walk(capture)).toEqual(['a/', 'a/b/', 'a/b/file']);
    let at = capture.root;
    for (const name of join(base, 'a').split('/').slice(1)) {
      const children: Entry[] = await at.children();
      expect(children.map((child) => child.attributes.name)).toEqual([name]);
      at = children[0] as typeof at;
    }
    expect(at.attributes.mode).toBe(0o751);
  });

  test('is in byte order, whatever the locale and however strange the names', async () => {
    make('b', 'a', 'B', 'ä', '\uffee', '\u{1f600}', 'a/b'.replace('/', '-'), '_');
    const names = ['B', '_', 'a', 'a-b', 'b', 'ä', '\uffee', '\u{1f600}'];
    expect(await captured({})).toEqual(names);
  });

  test('several paths share the directories above them, nested ones are stored once', async () => {
    make('x/1/a', 'x/2/b', 'x/3/c');
    const paths = ['x/1', 'x/2/b', 'x/1/a', 'x/1'].map((path) => join(base, path));
    expect(await captured({ paths: [...paths, `${paths[0]}/../1/`] })).toEqual([
      'x/',
      'x/1/',
      'x/1/a',
      'x/2/',
      'x/2/b',
    ]);
  });

  test('a symbolic link above a path is followed, the path itself is stored as a link', async () => {
    make('real/dir/file');
    fs.symlinkSync('real', join(base, 'via'));
    fs.symlinkSync('file', join(base, 'real/dir/link'));
    expect(await captured({ paths: [join(base, 'via/dir/link')] })).toEqual(['via/', 'via/dir/', 'via/dir/link']);
  });

  test('sockets are left out, fifos and links are in', async () => {
    make('file');
    execFileSync('mkfifo', [join(base, 'fifo')]);
    fs.symlinkSync('nowhere', join(base, 'link'));
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(base, 'socket'), resolve));
    expect(await captured({})).toEqual(['fifo', 'file', 'link']);
    await new Promise((resolve) => server.close(resolve));
  });

  test('access times are stored only when asked for', async () => {
    make('file');
    fs.utimesSync(join(base, 'file'), 5, 10);
    for (const [accessTimes, seconds] of [
      [false, 10n],
      [true, 5n],
    ] as const) {
      await using capture = await filesDriver.capture(source({ accessTimes }));
      await walk(capture, ({ attributes }) => expect(attributes.atimeNs).toBe(seconds * 1_000_000_000n));
    }
  });
});

describe('what is left out', () => {
  test('follows the patterns, which never reach the paths themselves', async () => {
    make('a.log', 'keep/a.log', 'keep/b.txt', 'cache/x', 'deep/cache/y', 'only/');
    expect(await captured({ exclude: ['*.log', `!${base}/keep/a.log`, 'cache/'] })).toEqual([
      ...['deep/', 'keep/', 'keep/a.log', 'keep/b.txt', 'only/'],
    ]);
  });

  test('a path below something excluded is in, if it is named', async () => {
    make('out/a', 'out/in/b', 'out/in/c.log');
    const paths = [base, join(base, 'out/in')];
    await expect(captured({ paths, exclude: [`${base}/out/`] })).rejects.toMatchObject({ code: 'config.invalid' });
    expect(await captured({ paths, exclude: [`${base}/out/*`, `!${base}/out/in`, '*.log'] })).toEqual([
      'out/',
      'out/in/',
      'out/in/b',
    ]);
  });

  test('directories with a marker keep only the marker', async () => {
    make('a/.nobackup', 'a/x', 'a/sub/y', 'b/x', 'c/mark', 'c/x');
    fs.writeFileSync(join(base, 'c/mark'), 'no backup please');
    make('d/mark', 'd/x');
    const settings = { excludeIfPresent: ['.nobackup', 'mark:no backup'] };
    expect(await captured(settings)).toEqual(['a/', 'a/.nobackup', 'b/', 'b/x', 'c/', 'c/mark', 'd/', 'd/mark', 'd/x']);
  });

  test('cache directories are those with a valid tag', async () => {
    make('real/x', 'false/CACHEDIR.TAG', 'false/x');
    fs.writeFileSync(join(base, 'real/CACHEDIR.TAG'), 'Signature: 8a477f597d28d172789f06886806bc55\n# comment');
    expect(await captured({ excludeCaches: true })).toEqual([
      'false/',
      'false/CACHEDIR.TAG',
      'false/x',
      'real/',
      'real/CACHEDIR.TAG',
    ]);
  });

  test.runIf(isRoot)('other file systems, whose mount points stay, unless a path lies there', async () => {
    make('mnt/');
    try {
      execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', join(base, 'mnt')], { stdio: 'ignore' });
    } catch {
      return; // mounting is not allowed in this container
    }
    try {
      make('mnt/a/file', 'mnt/b/file', 'own');
      expect(await captured({ oneFileSystem: true })).toEqual(['mnt/', 'own']);
      expect(await captured({ oneFileSystem: true, paths: [base, join(base, 'mnt/a')] })).toEqual([
        'mnt/',
        'mnt/a/',
        'mnt/a/file',
        'own',
      ]);
    } finally {
      execFileSync('umount', [join(base, 'mnt')]);
    }
  });
});

describe('what cannot be read', () => {
  test.runIf(isRoot)('is told and counted, and the rest is stored', async () => {
    make('closed/file', 'file', 'open/file');
    fs.chmodSync(join(base, 'closed'), 0o700);
    fs.chmodSync(join(base, 'file'), 0o600);
    process.seteuid!(65_534);
    try {
      await using capture = await filesDriver.capture(source({}));
      const failures: unknown[] = [];
      const found = await walk(capture, (entry, path) => {
        try {
          entry.readWhole!(Buffer.alloc(100));
        } catch (error) {
          failures.push([path, error]);
          entry.skip!(error);
        }
      });
      expect(found).toEqual(['closed/', 'file', 'open/', 'open/file']);
      expect(failures).toHaveLength(1);
      expect(events).toEqual([
        expect.objectContaining({ type: 'warning', code: 'source.unreadable', subject: join(base, 'closed') }),
        expect.objectContaining({ type: 'warning', code: 'source.unreadable', subject: join(base, 'file') }),
      ]);
      expect(capture.notes()).toEqual([expect.stringMatching(/^2 files or directories could not be read.*closed/)]);
    } finally {
      process.seteuid!(0);
    }
  });

  test('a file that vanished is told as such', async () => {
    make('here', 'gone');
    await using capture = await filesDriver.capture(source({}));
    await walk(capture, (entry, path) => {
      if (!path.endsWith('gone')) return;
      fs.unlinkSync(path);
      expect(() => entry.readWhole!(Buffer.alloc(10))).toThrow(expect.objectContaining({ code: 'source.missing' }));
      entry.skip!(Object.assign(new Error('gone')));
    });
    expect(capture.notes()).toHaveLength(1);
  });

  test('a directory that vanished before it was listed is told', async () => {
    make('gone/x', 'here');
    await using capture = await filesDriver.capture(source({}));
    const here = async (entry: Entry): Promise<Entry[]> => (entry.kind === 'dir' ? await entry.children() : []);
    let entries = [capture.root as Entry];
    for (let depth = 0; depth < base.split('/').length; depth++)
      entries = (await Promise.all(entries.map(here))).flat();
    expect(entries.map((entry) => entry.attributes.name)).toEqual(['gone', 'here']);
    fs.rmSync(join(base, 'gone'), { recursive: true });
    expect(await here(entries[0])).toEqual([]);
    expect(events).toEqual([expect.objectContaining({ code: 'source.missing', subject: join(base, 'gone') })]);
  });

  test('a file that the settings name cannot be left out', async () => {
    make('file');
    await using capture = await filesDriver.capture(source({ paths: [join(base, 'file')] }));
    await walk(capture, (entry) => expect(entry.skip).toBeUndefined());
  });
});

describe('missing paths', () => {
  test('are an error, one as well as all', async () => {
    make('a');
    const missing = join(base, 'missing');
    await expect(captured({ paths: [missing] })).rejects.toMatchObject({ code: 'source.missing' });
    await expect(captured({ paths: [join(base, 'a'), missing] })).rejects.toMatchObject({
      code: 'source.missing',
      remedy: expect.stringContaining('allowMissing'),
    });
  });

  test('are a note where that is allowed, but not all of them', async () => {
    make('a');
    const missing = join(base, 'missing');
    await using capture = await filesDriver.capture(source({ paths: [join(base, 'a'), missing], allowMissing: true }));
    expect(await walk(capture)).toEqual(['a']);
    expect(capture.notes()).toEqual([expect.stringContaining(missing)]);
    await expect(captured({ paths: [missing], allowMissing: true })).rejects.toMatchObject({ code: 'source.missing' });
  });
});

describe('settings', () => {
  test.each([
    [{ paths: [] }],
    [{ paths: ['relative'] }],
    [{ exclude: ['[a'] }],
    [{ excludeIfPresent: ['a/b'] }],
    [{ unknown: true }],
  ])('%j is refused', (settings) => {
    expect(filesDriver.settings.safeParse({ paths: ['/x'], ...settings }).success).toBe(false);
  });
});

describe('a probe', () => {
  test('says what each path is, with a remedy where one is needed', async () => {
    make('dir/file', 'file');
    fs.symlinkSync('dir', join(base, 'link'));
    const paths = ['dir', 'file', 'link', 'missing'].map((name) => join(base, name));
    const findings = await filesDriver.probe(source({ paths }));
    expect(findings.map((finding) => finding.level)).toEqual(['ok', 'ok', 'warning', 'error']);
    expect(findings.slice(2).every((finding) => finding.remedy)).toBe(true);
  });

  test('warns of backing up the kernel, and of what the host cannot do', async () => {
    const all = { ...source({ paths: ['/'] }), host: localHost({ syscalls: {} }) };
    const messages = (await filesDriver.probe(all)).map((finding) => finding.message).join('\n');
    expect(messages).toMatch(/\/proc/);
    expect(messages).toMatch(/extended attributes/);
  });
});

test('cancelling ends the walk', async () => {
  make('a/b');
  const stop = new AbortController();
  await using capture = await filesDriver.capture({ ...source({}), signal: stop.signal });
  stop.abort();
  await expect(walk(capture)).rejects.toMatchObject({ code: 'cancelled' });
});
