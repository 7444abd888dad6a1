import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { link as hardLink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { utf8 } from '../../base/bytes.ts';
import { listed } from '../conformance/case.ts';
import { openStorage } from '../open.ts';
import { exclusiveRename } from './exclusive-rename.ts';
import { localStorage } from './index.ts';
import { publishNew } from './publish.ts';
import { sweepTemporaries, temporaryName } from './temporary.ts';

let place: string;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'holdfast-local-'));
});
afterEach(() => rmSync(place, { recursive: true, force: true }));

const open = (create = false) => openStorage([localStorage], place, { create });
const names = async (folder: string) => [...(await listed(await open(), folder)).keys()];

test('names are paths, files are read-only and folders private, as restic has them', async () => {
  const storage = await open();
  await storage.put('config', [utf8('c')]);
  await storage.put('data/ab/abcd', [utf8('p')]);
  expect(statSync(join(place, 'config')).mode & 0o777).toBe(0o400);
  expect(statSync(join(place, 'data/ab/abcd')).mode & 0o777).toBe(0o400);
  expect(statSync(join(place, 'data/ab')).mode & 0o777).toBe(0o700);
  expect(readdirSync(join(place, 'data/ab'))).toEqual(['abcd']);
});

test('a repository shared with the group stays so', async () => {
  writeFileSync(join(place, 'config'), 'c');
  chmodSync(join(place, 'config'), 0o440);
  const storage = await open();
  await storage.put('keys/k', [utf8('k')]);
  expect(statSync(join(place, 'keys/k')).mode & 0o777).toBe(0o440);
  expect(statSync(join(place, 'keys')).mode & 0o700).toBe(0o700);
  expect(statSync(join(place, 'keys')).mode & 0o050).toBe(0o050);
});

describe('the URL', () => {
  test.each([
    ['/srv/x', true],
    ['./x', true],
    ['..', true],
    ['file:///srv/x', true],
    ['local:/srv/x', true],
    ['s3:host/x', false],
    ['x', false],
    ['.x', false],
    ['', false],
  ])('%j is a directory’s: %j', (url, yes) => expect(localStorage.recognises(url)).toBe(yes));

  test('may be a file URL with escapes', async () => {
    mkdirSync(join(place, 'a b'));
    const storage = await openStorage([localStorage], pathToFileURL(join(place, 'a b')).href, { create: false });
    expect(storage.location).toBe(join(place, 'a b'));
  });

  test.each(['file://host/srv', 'local:', '/a\0b'])('%j is refused', async (url) => {
    await expect((async () => openStorage([localStorage], url, { create: false }))()).rejects.toMatchObject({
      code: 'usage.invalid',
    });
  });
});

describe('a directory that is not there', () => {
  test('is not opened, and is made only when a repository is made', async () => {
    rmSync(place, { recursive: true });
    await expect(open()).rejects.toMatchObject({ code: 'storage.not-found', remedy: expect.stringMatching(/mounted/) });
    expect(existsSync(place)).toBe(false);
    const deep = join(place, 'x/y');
    await openStorage([localStorage], deep, { create: true });
    expect(statSync(deep).mode & 0o777).toBe(0o700);
  });

  test('fails every call when it vanishes later, and is not made again', async () => {
    const storage = await open();
    await storage.put('data/ab/x', [utf8('x')]);
    rmSync(place, { recursive: true });
    const gone = { code: 'storage.not-found', remedy: expect.stringMatching(/mounted/) };
    await expect(storage.put('data/ab/y', [utf8('y')])).rejects.toMatchObject(gone);
    await expect(storage.put('config', [utf8('y')])).rejects.toMatchObject(gone);
    await expect(storage.get('data/ab/x')).rejects.toMatchObject(gone);
    await expect(storage.stat('data/ab/x')).rejects.toMatchObject(gone);
    await expect(storage.delete('data/ab/x')).rejects.toMatchObject(gone);
    await expect(listed(storage, 'data')).rejects.toMatchObject(gone);
    expect(existsSync(place)).toBe(false);
  });

  test('is an error when it is a file', async () => {
    writeFileSync(join(place, 'file'), '');
    await expect(openStorage([localStorage], join(place, 'file'), { create: false })).rejects.toMatchObject({
      code: 'storage.not-found',
    });
    await expect(openStorage([localStorage], join(place, 'file'), { create: true })).rejects.toMatchObject({
      code: 'storage.io',
    });
  });
});

test('a folder removed between two puts is made again', async () => {
  const storage = await open();
  await storage.put('data/ab/x', [utf8('x')]);
  rmSync(join(place, 'data'), { recursive: true });
  await storage.put('data/ab/y', [utf8('y')]);
  expect(await names('data')).toEqual(['data/ab/y']);
});

test('what is no object is not listed; links are followed', async () => {
  const storage = await open();
  await storage.put('data/ab/x', [utf8('x')]);
  for (const name of ['.nfs0001', `~x`, 'a b', temporaryName()]) writeFileSync(join(place, 'data/ab', name), '');
  mkdirSync(join(place, 'data/.snapshot'));
  writeFileSync(join(place, 'data/.snapshot/x'), '');
  mkdirSync(join(place, 'elsewhere'));
  writeFileSync(join(place, 'elsewhere/z'), 'zzz');
  symlinkSync('../elsewhere', join(place, 'data/cd'));
  symlinkSync('nowhere', join(place, 'data/dangling'));
  expect(new Set(await names('data'))).toEqual(new Set(['data/ab/x', 'data/cd/z']));
});

test('a put over a folder fails and leaves no temporary file', async () => {
  const storage = await open();
  await storage.put('data/ab/x', [utf8('x')]);
  await expect(storage.put('data/ab', [utf8('y')])).rejects.toMatchObject({ code: 'storage.io' });
  await expect(storage.put('data/ab/x/y', [utf8('y')])).rejects.toMatchObject({ code: 'storage.io' });
  expect(readdirSync(join(place, 'data'))).toEqual(['ab']);
  expect(readdirSync(join(place, 'data/ab'))).toEqual(['x']);
});

describe('temporary files', () => {
  const dead = () => temporaryName().replace(/-\d+-/, '-4194305-');
  const elsewhere = () => temporaryName().replace(/^~holdfast-[0-9a-f]+/, '~holdfast-00');

  test('of dead processes of this machine are removed by the first put into their folder', async () => {
    mkdirSync(join(place, 'locks'));
    writeFileSync(join(place, 'locks', dead()), 'x');
    const living = temporaryName();
    const strangers = elsewhere();
    writeFileSync(join(place, 'locks', living), 'x');
    writeFileSync(join(place, 'locks', strangers), 'x');
    await (await open()).put('locks/l', [utf8('l')]);
    expect(new Set(readdirSync(join(place, 'locks')))).toEqual(new Set(['l', living, strangers]));
  });

  test('of other machines are removed when they are older than a day by the storage’s clock', async () => {
    const [old, young] = [elsewhere(), elsewhere()];
    for (const [name, hours] of [
      [old, 25],
      [young, 23],
    ] as const) {
      writeFileSync(join(place, name), 'x');
      utimesSync(join(place, name), 1_000_000 - hours * 3600, 1_000_000 - hours * 3600);
    }
    await sweepTemporaries(place, 1_000_000_000);
    expect(readdirSync(place)).toEqual([young]);
  });
});

describe('giving a name that must be new', () => {
  const prepare = () => {
    writeFileSync(join(place, 'temporary'), 'new');
    return [join(place, 'temporary'), join(place, 'final')] as const;
  };
  const failing = (code: string) => async () => {
    throw Object.assign(new Error(code), { code });
  };

  test('falls back to an exclusive rename where there are no hard links', async (context) => {
    if (!(await exclusiveRename())) return context.skip('koffi is not installed, or this is not Linux');
    const [temporary, final] = prepare();
    expect(await publishNew(temporary, final, failing('EPERM'))).toBe('published');
    expect(readdirSync(place)).toEqual(['final']);
    prepare();
    expect(await publishNew(temporary, final, failing('ENOTSUP'))).toBe('exists');
    expect(new Set(readdirSync(place))).toEqual(new Set(['final', 'temporary']));
    await expect(publishNew(join(place, 'none'), join(place, 'x'), failing('EPERM'))).rejects.toMatchObject({
      code: 'ENOENT',
    });
  });

  test('sees that a link whose answer was lost has been made', async () => {
    const [temporary, final] = prepare();
    const lost = async (from: string, to: string) => {
      await hardLink(from, to);
      await failing('EEXIST')();
    };
    expect(await publishNew(temporary, final, lost as typeof hardLink)).toBe('published');
    expect(readdirSync(place)).toEqual(['final']);
  });

  test('does not take another’s file for its own, even under two names', async () => {
    const [temporary, final] = prepare();
    writeFileSync(join(place, 'other'), 'x');
    renameSync(join(place, 'other'), final);
    await hardLink(temporary, join(place, 'second'));
    expect(await publishNew(temporary, final)).toBe('exists');
  });
});
