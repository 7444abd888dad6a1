import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeName } from '../../base/names.ts';
import { localHost } from './index.ts';

const isRoot = process.geteuid!() === 0;
const nobody = 65_534;
const base = fs.mkdtempSync(join(tmpdir(), 'holdfast-files-'));
const { files } = localHost();
const { files: plainFiles } = localHost({ syscalls: {} });
const noErrors = (_path: string, error: unknown): void => {
  throw error;
};

beforeAll(() => fs.chmodSync(base, 0o755));
afterAll(() => execFileSync('rm', ['-rf', base]));

/** As a user without rights, when the tests run as root. */
async function asNobody<T>(act: () => Promise<T>): Promise<T> {
  if (isRoot) process.seteuid!(nobody);
  try {
    return await act();
  } finally {
    if (isRoot) process.seteuid!(0);
  }
}

describe('attributes', () => {
  test('of a file are those of stat, to the nanosecond', async () => {
    const path = join(base, 'file');
    fs.writeFileSync(path, 'content');
    fs.chmodSync(path, 0o4751);
    execFileSync('touch', ['-d', '2001-02-03T04:05:06.123456789Z', path]);
    const found = await files.attributes(path);
    expect(found).toMatchObject({
      name: 'file',
      type: 'file',
      mode: 0o4751,
      size: 7,
      links: 1,
      user: 'root',
      group: 'root',
    });
    expect(found.mtimeNs).toBe(981173106_123456789n);
    expect(found.inode).toBe(fs.statSync(path, { bigint: true }).ino);
  });

  test('times before 1970 are kept', async () => {
    const path = join(base, 'old');
    fs.writeFileSync(path, '');
    execFileSync('touch', ['-d', '1960-01-01T00:00:00.5Z', path]);
    expect((await files.attributes(path)).mtimeNs).toBe(-315619199_500000000n);
  });

  test('hard links share inode and device, and are counted', async () => {
    fs.writeFileSync(join(base, 'one'), '');
    fs.linkSync(join(base, 'one'), join(base, 'two'));
    const [one, two] = [await files.attributes(join(base, 'one')), await files.attributes(join(base, 'two'))];
    expect([two.inode, two.deviceId, two.links]).toEqual([one.inode, one.deviceId, 2]);
  });

  test('of a symlink are its own, with a target of any bytes', async () => {
    const path = join(base, 'link');
    fs.symlinkSync(Buffer.from([0x2f, 0xff, 0x2f, 0x61]), path);
    const found = await files.attributes(path);
    expect(found).toMatchObject({ type: 'symlink', linkTarget: '/\udcff/a', size: 0 });
  });

  test('extended attributes and ACLs come raw, in the order of the kernel', async () => {
    const path = join(base, 'attributed');
    fs.writeFileSync(path, '');
    for (const name of ['user.z', 'user.a', 'user.m']) execFileSync('setfattr', ['-n', name, '-v', `of ${name}`, path]);
    execFileSync('setfattr', ['-n', 'user.raw', '-v', '0x00ff00', path]);
    execFileSync('setfacl', ['-m', 'u:4242:rw', path]);
    const found = (await files.attributes(path)).xattrs!;
    const names = execFileSync('getfattr', ['--absolute-names', '-m', '-', path], { encoding: 'utf8' });
    expect(found.map((one) => one.name).toSorted()).toEqual(names.trim().split('\n').slice(1).toSorted());
    expect(Buffer.from(found.find((one) => one.name === 'user.raw')!.value)).toEqual(Buffer.of(0, 255, 0));
    expect(found.find((one) => one.name === 'system.posix_acl_access')!.value.length).toBeGreaterThan(20);
  });

  test.runIf(isRoot)('devices and fifos have their type and number', async () => {
    execFileSync('mknod', [join(base, 'null'), 'c', '1', '3']);
    execFileSync('mknod', [join(base, 'loop'), 'b', '7', '300']);
    execFileSync('mkfifo', [join(base, 'fifo')]);
    expect(await files.attributes(join(base, 'null'))).toMatchObject({ type: 'chardev', device: 0x103n });
    const loop = await files.attributes(join(base, 'loop'));
    expect(loop).toMatchObject({ type: 'dev', device: fs.statSync(join(base, 'loop'), { bigint: true }).rdev });
    expect(await files.attributes(join(base, 'fifo'))).toMatchObject({ type: 'fifo', links: 0 });
  });

  test('a socket is one', async () => {
    const path = join(base, 'socket');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    expect((await files.attributes(path)).type).toBe('socket');
    await new Promise((resolve) => server.close(resolve));
  });
});

describe('a listing', () => {
  test('has every entry with its attributes, names of any bytes among them', async () => {
    const directory = join(base, 'names');
    fs.mkdirSync(directory);
    const names = [
      Buffer.from('plain'),
      Buffer.from('new\nline'),
      Buffer.from([0xff]),
      Buffer.from('\ufffd'),
      Buffer.alloc(255, 'n'),
    ];
    for (const name of names) fs.writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), name]), name);
    const found = await files.list(directory, noErrors);
    expect(new Set(found.map((one) => one.name))).toEqual(new Set(names.map(decodeName)));
    for (const one of found) {
      const into = Buffer.alloc(300);
      const length = files.readWhole!(`${directory}/${one.name}`, into);
      expect(decodeName(into.subarray(0, length))).toBe(one.name);
      expect(length).toBe(one.size);
    }
  });

  test('of a directory that may be read but not entered tells what could not be examined', async () => {
    const directory = join(base, 'listed');
    fs.mkdirSync(directory);
    fs.writeFileSync(join(directory, 'hidden'), '');
    fs.chmodSync(directory, 0o444);
    const told: string[] = [];
    const found = await asNobody(() => files.list(directory, (path) => told.push(path)));
    expect(found).toEqual([]);
    expect(told).toEqual([join(directory, 'hidden')]);
  });

  test.runIf(isRoot)('an attribute that may not be read is told, and the file is listed', async () => {
    const directory = join(base, 'private');
    fs.mkdirSync(directory);
    fs.writeFileSync(join(directory, 'file'), '', { mode: 0o600 });
    execFileSync('setfattr', ['-n', 'user.secret', '-v', 'x', join(directory, 'file')]);
    const told: unknown[] = [];
    const found = await asNobody(() => files.list(directory, (_path, error) => told.push(error)));
    expect(found).toHaveLength(1);
    expect(told).toEqual([
      expect.objectContaining({ code: 'source.unreadable', message: expect.stringContaining('user.secret') }),
    ]);
  });

  test('lets other work run in between', async () => {
    const directory = join(base, 'many');
    fs.mkdirSync(directory);
    for (let at = 0; at < 2000; at++) fs.writeFileSync(join(directory, `f${at}`), '');
    let turns = 0;
    const ticking = setInterval(() => turns++, 0);
    const found = await files.list(directory, noErrors);
    clearInterval(ticking);
    expect(found).toHaveLength(2000);
    expect(turns).toBeGreaterThan(0);
  });
});

test('paths longer than the kernel takes are examined, listed and read', async () => {
  const name = 'd'.repeat(200);
  let path = join(base, 'deep');
  fs.mkdirSync(path);
  execFileSync(
    'sh',
    ['-c', 'i=0; while [ $i -lt 40 ]; do mkdir "$1"; cd -P "$1"; i=$((i+1)); done; echo deep > file', 'sh', name],
    { cwd: path },
  );
  for (let depth = 0; depth < 40; depth++) path += `/${name}`;
  expect(path.length).toBeGreaterThan(8000);
  expect((await files.list(path, noErrors)).map((one) => one.name)).toEqual(['file']);
  expect((await files.attributes(`${path}/file`)).size).toBe(5);
  expect(files.readWhole!(`${path}/file`, Buffer.alloc(10))).toBe(5);
  const reader = await files.open(`${path}/file`);
  expect(await reader.read(Buffer.alloc(10))).toBe(5);
  await reader.close();
});

describe('a reader', () => {
  test('skips the holes of a file of two terabytes at once', async () => {
    const path = join(base, 'sparse');
    const size = 2 * 2 ** 40;
    const fd = fs.openSync(path, 'w');
    fs.ftruncateSync(fd, size);
    fs.writeSync(fd, Buffer.alloc(1 << 20, 'x'), 0, 1 << 20, 2 ** 40);
    fs.closeSync(fd);
    const reader = await files.open(path);
    const seen: string[] = [];
    const into = Buffer.alloc(8 << 20);
    for (;;) {
      const hole = await reader.skipHole!(1 << 20);
      if (hole > 0) seen.push(`hole ${hole}`);
      const count = await reader.read(into);
      if (count === 0) break;
      seen.push(`data ${count}`);
    }
    await reader.close();
    expect(seen).toEqual([`hole ${2 ** 40}`, `data ${1 << 20}`, `hole ${size - 2 ** 40 - (1 << 20)}`]);
  });

  test('stops before a hole that is large enough, and reads small ones as zeros', async () => {
    const path = join(base, 'holes');
    const block = 1 << 16;
    const fd = fs.openSync(path, 'w');
    fs.ftruncateSync(fd, block * 20);
    for (const at of [1, 3, 10]) fs.writeSync(fd, Buffer.alloc(block, 'x'), 0, block, at * block);
    fs.closeSync(fd);
    const reader = await files.open(path);
    expect(await reader.skipHole!(block * 2)).toBe(0);
    const into = Buffer.alloc(block * 20);
    expect(await reader.read(into)).toBe(block * 4);
    expect(into.subarray(block * 2, block * 3).every((byte) => byte === 0)).toBe(true);
    expect(await reader.skipHole!(block * 2)).toBe(block * 6);
    expect(await reader.read(into)).toBe(block);
    expect(await reader.skipHole!(block * 2)).toBe(block * 9);
    expect(await reader.read(into)).toBe(0);
    await reader.close();
  });

  /** The clock of many file systems ticks every few milliseconds only: until what is changed now has a later time. */
  async function tickAfter(timeNs: bigint): Promise<void> {
    const path = join(base, 'clock');
    do {
      await setImmediate();
      fs.writeFileSync(path, 'x');
    } while (fs.statSync(path, { bigint: true }).ctimeNs <= timeNs);
  }

  test('reads what a growing file holds by then, and tells by its attributes that it changed', async () => {
    const path = join(base, 'growing');
    fs.writeFileSync(path, Buffer.alloc(100_000, 'a'));
    const before = await files.attributes(path);
    const reader = await files.open(path);
    const into = Buffer.alloc(100_000);
    expect(await reader.read(into)).toBe(100_000);
    await tickAfter(before.ctimeNs);
    fs.appendFileSync(path, 'more');
    expect(await reader.read(into)).toBe(4);
    expect(await reader.read(into)).toBe(0);
    const after = await reader.attributes();
    expect(after.size).toBe(before.size + 4);
    expect(after.ctimeNs).not.toBe(before.ctimeNs);
    await reader.close();
  });

  test('ends early when a file is truncated, also within a hole', async () => {
    const path = join(base, 'shrinking');
    fs.writeFileSync(path, Buffer.alloc(100_000, 'a'));
    fs.truncateSync(path, 10_000_000);
    const reader = await files.open(path);
    expect(await reader.skipHole!(1 << 20)).toBe(0);
    expect(await reader.read(Buffer.alloc(50_000))).toBe(50_000);
    fs.truncateSync(path, 60_000);
    expect(await reader.read(Buffer.alloc(50_000))).toBe(10_000);
    expect(await reader.read(Buffer.alloc(50_000))).toBe(0);
    expect((await reader.attributes()).size).toBe(60_000);
    await reader.close();
  });

  test('never waits for a fifo, follows a link or reads a directory that took the place of a file', async () => {
    execFileSync('mkfifo', [join(base, 'pipe')]);
    fs.symlinkSync('/etc/passwd', join(base, 'sneaky'));
    for (const name of ['pipe', 'sneaky', '.']) {
      await expect(files.open(join(base, name))).rejects.toMatchObject({ code: 'source.unreadable' });
    }
    expect(() => files.readWhole!(join(base, 'sneaky'), Buffer.alloc(10))).toThrow(
      expect.objectContaining({ code: 'source.unreadable' }),
    );
  });

  test('what may not be read has its own code and a remedy', async () => {
    const path = join(base, 'forbidden');
    fs.writeFileSync(path, 'secret', { mode: 0o600 });
    await asNobody(async () => {
      await expect(files.open(path)).rejects.toMatchObject({
        code: 'source.unreadable',
        remedy: expect.stringContaining('root'),
      });
    });
  });
});

describe('reading at once', () => {
  test.each([0, 1, 99, 100])('%i bytes', (size) => {
    const path = join(base, `size-${size}`);
    fs.writeFileSync(path, Buffer.alloc(size, 'y'));
    expect(files.readWhole!(path, Buffer.alloc(100))).toBe(size);
  });

  test('says that a file does not fit', () => {
    fs.writeFileSync(join(base, 'too-long'), Buffer.alloc(101));
    expect(files.readWhole!(join(base, 'too-long'), Buffer.alloc(100))).toBe(-1);
  });

  test('leaves the access time alone', () => {
    const path = join(base, 'unread');
    fs.writeFileSync(path, 'x');
    fs.utimesSync(path, 1, 1);
    files.readWhole!(path, Buffer.alloc(10));
    expect(fs.statSync(path).atimeMs).toBe(1000);
  });
});

test('without koffi everything but the abilities it says is there', async () => {
  const host = localHost({ syscalls: {} });
  expect(host.limits!.join()).toMatch(/attributes.*microsecond.*device.*holes/s);
  const path = join(base, 'plain');
  fs.writeFileSync(path, 'x');
  execFileSync('setfattr', ['-n', 'user.a', '-v', 'x', path]);
  expect((await plainFiles.attributes(path)).xattrs).toBeUndefined();
  const reader = await plainFiles.open(path);
  expect(await reader.skipHole!(1)).toBe(0);
  expect(await reader.read(Buffer.alloc(5))).toBe(1);
  await reader.close();
});
