import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { NodeAttributes, NodeType } from '../../model/node.ts';
import { dataParts } from './file-writer.ts';
import { localHost } from './index.ts';

const isRoot = process.geteuid!() === 0;
const host = localHost();
let base: string;
beforeEach(() => {
  base = fs.mkdtempSync(join(tmpdir(), 'holdfast-target-'));
});
afterEach(() => execFileSync('rm', ['-rf', base]));

const noProblem = (message: string): void => {
  throw new Error(message);
};

function node(type: NodeType, more: Partial<NodeAttributes> = {}): NodeAttributes {
  const timeNs = 981173106_123456789n;
  return {
    ...{ name: 'x', type, mode: 0o640, size: 0, links: 1, uid: 0, gid: 0, inode: 1n, deviceId: 1n },
    ...{ mtimeNs: timeNs, atimeNs: timeNs + 1n, ctimeNs: timeNs },
    ...more,
  };
}

const statOf = (path: string): fs.BigIntStats => fs.lstatSync(path, { bigint: true });

describe('attributes', () => {
  test.runIf(isRoot)('owner, setuid bits, times in nanoseconds and ACLs of a file come back', async () => {
    const original = join(base, 'original');
    fs.writeFileSync(original, 'x');
    fs.chownSync(original, 4242, 4343);
    execFileSync('setfacl', ['-m', 'u:77:rw', original]);
    execFileSync('setfattr', ['-n', 'user.note', '-v', 'kept', original]);
    fs.chmodSync(original, 0o6775);
    execFileSync('touch', ['-d', '2001-02-03T04:05:06.987654321Z', original]);
    const wanted = await host.files.attributes(original);
    await using target = await host.openTarget(base, 'refuse');
    await target.writeWhole(join(base, 'copy'), Buffer.from('x'));
    await target.applyAttributes(join(base, 'copy'), wanted, noProblem);
    const found = await host.files.attributes(join(base, 'copy'));
    const { name, inode, ctimeNs, ...rest } = wanted;
    expect(found).toMatchObject(rest);
    expect(found.mode).toBe(0o6775);
  });

  test('an ACL that the directory hands down is removed when the snapshot has none', async () => {
    execFileSync('setfacl', ['-d', '-m', 'u:77:rwx', base]);
    await using target = await host.openTarget(base, 'refuse');
    const path = join(base, 'file');
    await target.writeWhole(path, Buffer.from('x'));
    expect((await host.files.attributes(path)).xattrs).toBeDefined();
    await target.applyAttributes(path, node('file'), noProblem);
    expect((await host.files.attributes(path)).xattrs).toBeUndefined();
    expect(statOf(path).mode & 0o777n).toBe(0o640n);
  });

  test('of a symlink are its own; what it points to is untouched', async () => {
    fs.writeFileSync(join(base, 'victim'), 'x', { mode: 0o600 });
    const before = statOf(join(base, 'victim'));
    await using target = await host.openTarget(base, 'refuse');
    const wanted = node('symlink', { linkTarget: 'victim', mode: 0o777, uid: isRoot ? 4242 : process.getuid!() });
    await target.makeSpecial(join(base, 'link'), wanted);
    await target.applyAttributes(join(base, 'link'), wanted, noProblem);
    expect(statOf(join(base, 'link'))).toMatchObject({ mtimeNs: wanted.mtimeNs, uid: BigInt(wanted.uid) });
    expect(statOf(join(base, 'victim'))).toEqual(before);
  });

  test('are refused for something that took the place of what was restored', async () => {
    fs.writeFileSync(join(base, 'victim'), 'x', { mode: 0o600 });
    await using target = await host.openTarget(base, 'refuse');
    const path = join(base, 'file');
    await target.writeWhole(path, Buffer.from('x'));
    fs.unlinkSync(path);
    fs.symlinkSync('victim', path);
    expect(() => target.applyAttributes(path, node('file', { mode: 0o777 }), noProblem)).toThrow(
      expect.objectContaining({ code: 'restore.failed' }),
    );
    expect(statOf(join(base, 'victim')).mode & 0o777n).toBe(0o600n);
  });

  test.runIf(isRoot)(
    'without root, what could not be restored is told once, and setuid bits are left out',
    async () => {
      fs.chmodSync(base, 0o777);
      process.seteuid!(65_534);
      try {
        await using target = await host.openTarget(join(base, 'mine'), 'refuse');
        const problems: string[] = [];
        for (const name of ['a', 'b', 'c']) {
          const path = join(base, 'mine', name);
          await target.writeWhole(path, Buffer.from('x'));
          await target.applyAttributes(path, node('file', { mode: 0o4755 }), (message) => problems.push(message));
          expect(statOf(path).mode & 0o7777n).toBe(0o755n);
          expect(statOf(path).mtimeNs).toBe(node('file').mtimeNs);
        }
        expect(problems).toEqual([expect.stringContaining('without root')]);
      } finally {
        process.seteuid!(0);
      }
    },
  );
});

describe('objects', () => {
  test.runIf(isRoot)('devices, fifos and sockets are made', async () => {
    await using target = await host.openTarget(base, 'refuse');
    for (const [type, device] of [
      ['chardev', 0x103n],
      ['dev', 0x700n],
      ['fifo', 0n],
      ['socket', 0n],
    ] as const) {
      const wanted = node(type, { device });
      await target.makeSpecial(join(base, type), wanted);
      await target.applyAttributes(join(base, type), wanted, noProblem);
      const found = await host.files.attributes(join(base, type));
      expect(found).toMatchObject({ type, mode: 0o640, mtimeNs: wanted.mtimeNs });
      if (device > 0n) expect(found.device).toBe(device);
    }
  });

  test('hard links are made, and made again over themselves', async () => {
    await using target = await host.openTarget(base, 'replace');
    const [one, two] = [join(base, 'd1/one'), join(base, 'd2/two')];
    await target.makeDirectory(join(base, 'd1'));
    await target.makeDirectory(join(base, 'd2'));
    await target.writeWhole(one, Buffer.from('x'));
    for (let round = 0; round < 2; round++) await target.makeLink(two, one);
    expect(statOf(two).ino).toBe(statOf(one).ino);
    await target.writeWhole(join(base, 'd2/other'), Buffer.from('y'));
    await target.makeLink(join(base, 'd2/other'), one);
    expect(statOf(one).nlink).toBe(3n);
    expect(fs.readdirSync(join(base, 'd2')).toSorted()).toEqual(['other', 'two']);
  });

  test('a sparse file takes room only for what is written, zeros not counted', async () => {
    await using target = await host.openTarget(base, 'refuse');
    const path = join(base, 'sparse');
    const size = 2 ** 41;
    const writer = await target.createFile(path, size);
    const bytes = Buffer.alloc(1 << 20);
    bytes.write('in the middle', 1 << 19);
    await writer.writeAt(bytes, 2 ** 40);
    await writer.writeAt(Buffer.alloc(1 << 20), 2 ** 30);
    await writer.close();
    expect(statOf(path).size).toBe(BigInt(size));
    expect(statOf(path).blocks * 512n).toBeLessThan(1n << 20n);
    const found = Buffer.alloc(1 << 20);
    const fd = fs.openSync(path, 'r');
    fs.readSync(fd, found, 0, found.length, 2 ** 40);
    fs.closeSync(fd);
    expect(found.equals(bytes)).toBe(true);
  });

  test('data is told from zeros to the piece', () => {
    const bytes = Buffer.alloc(300_000);
    expect(dataParts(bytes)).toEqual([]);
    bytes[299_999] = 1;
    expect(dataParts(bytes)).toEqual([{ from: 262_144, to: 300_000 }]);
    bytes[0] = 1;
    bytes[65_536] = 1;
    expect(dataParts(bytes)).toEqual([
      { from: 0, to: 131_072 },
      { from: 262_144, to: 300_000 },
    ]);
  });

  test('paths far beyond the limit of the kernel are written', async () => {
    await using target = await host.openTarget(base, 'refuse');
    let path = base;
    for (let depth = 0; depth < 300; depth++) path += `/${'d'.repeat(30)}`;
    await target.makeDirectory(path);
    await target.writeWhole(`${path}/file`, Buffer.from('deep'));
    await target.applyAttributes(`${path}/file`, node('file'), noProblem);
    await target.makeLink(`${base}/top`, `${path}/file`);
    expect(fs.readFileSync(join(base, 'top'), 'utf8')).toBe('deep');
    expect((await host.files.attributes(`${path}/file`)).links).toBe(2);
  });
});

describe('what exists', () => {
  test('is replaced only when the new file is complete', async () => {
    const path = join(base, 'file');
    fs.writeFileSync(path, 'old');
    await using target = await host.openTarget(base, 'replace');
    const writer = await target.createFile(path, 3);
    await writer.writeAt(Buffer.from('new'), 0);
    expect(fs.readFileSync(path, 'utf8')).toBe('old');
    await writer.close();
    expect(fs.readFileSync(path, 'utf8')).toBe('new');
    expect(fs.readdirSync(base)).toEqual(['file']);
  });

  test('a file is replaced by a directory, an empty directory by a file, a full one never', async () => {
    fs.writeFileSync(join(base, 'file'), '');
    fs.mkdirSync(join(base, 'empty'));
    fs.mkdirSync(join(base, 'full/inside'), { recursive: true });
    await using target = await host.openTarget(base, 'replace');
    await target.makeDirectory(join(base, 'file'));
    await target.writeWhole(join(base, 'empty'), Buffer.from('x'));
    expect(() => target.writeWhole(join(base, 'full'), Buffer.from('x'))).toThrow(
      expect.objectContaining({ code: 'restore.target-exists' }),
    );
    expect(fs.statSync(join(base, 'file')).isDirectory()).toBe(true);
    expect(fs.statSync(join(base, 'full/inside')).isDirectory()).toBe(true);
  });

  test('is refused, whatever is to be made there', async () => {
    fs.writeFileSync(join(base, 'file'), 'old');
    fs.symlinkSync('file', join(base, 'link'));
    await using target = await host.openTarget(base, 'refuse');
    for (const name of ['file', 'link']) {
      const path = join(base, name);
      const attempts = [
        async () => target.writeWhole(path, Buffer.from('x')),
        () => target.createFile(path, 1),
        () => target.makeSpecial(path, node('symlink', { linkTarget: 'x' })),
        () => target.makeDirectory(path),
      ];
      for (const attempt of attempts) await expect(attempt()).rejects.toMatchObject({ code: 'restore.target-exists' });
    }
    expect(fs.readFileSync(join(base, 'file'), 'utf8')).toBe('old');
  });

  test('a link to a directory is never replaced, nor written through', async () => {
    fs.mkdirSync(join(base, 'elsewhere'));
    fs.mkdirSync(join(base, 'in'));
    fs.symlinkSync('../elsewhere', join(base, 'in/data'));
    await using target = await host.openTarget(join(base, 'in'), 'replace');
    await expect(target.makeDirectory(join(base, 'in/data'))).rejects.toMatchObject({ code: 'restore.target-exists' });
    expect(() => target.writeWhole(join(base, 'in/data/x'), Buffer.from('x'))).toThrow();
    expect(fs.readdirSync(join(base, 'elsewhere'))).toEqual([]);
    expect(fs.readlinkSync(join(base, 'in/data'))).toBe('../elsewhere');
  });

  test('a directory swapped for a link during the restore leads nowhere else', async () => {
    fs.mkdirSync(join(base, 'outside'));
    await using target = await host.openTarget(join(base, 'in'), 'refuse');
    await target.makeDirectory(join(base, 'in/dir'));
    await target.writeWhole(join(base, 'in/dir/first'), Buffer.from('x'));
    fs.renameSync(join(base, 'in/dir'), join(base, 'in/moved'));
    fs.symlinkSync('../outside', join(base, 'in/dir'));
    await target.writeWhole(join(base, 'in/dir/second'), Buffer.from('x'));
    expect(fs.readdirSync(join(base, 'outside'))).toEqual([]);
    expect(fs.readdirSync(join(base, 'in/moved'))).toEqual(['first', 'second']);
  });

  test('a file is revised in place, and keeps its inode and its new size', async () => {
    const path = join(base, 'file');
    fs.writeFileSync(path, '0123456789');
    const before = statOf(path).ino;
    await using target = await host.openTarget(base, 'replace');
    const writer = await target.reviseFile(path, 6);
    await writer!.writeAt(Buffer.from('xy'), 2);
    await writer!.writeAt(Buffer.of(0), 5);
    await writer!.close();
    expect(fs.readFileSync(path, 'latin1')).toBe('01xy4\0');
    expect(statOf(path).ino).toBe(before);
  });

  test('what has several names, is a link, a directory or missing is not revised', async () => {
    fs.writeFileSync(join(base, 'one'), 'x');
    fs.linkSync(join(base, 'one'), join(base, 'two'));
    fs.symlinkSync('one', join(base, 'link'));
    await using target = await host.openTarget(base, 'replace');
    for (const name of ['one', 'link', 'missing']) expect(await target.reviseFile(join(base, name), 1)).toBeUndefined();
    fs.mkdirSync(join(base, 'directory'));
    expect(await target.reviseFile(join(base, 'directory'), 1)).toBeUndefined();
  });
});

test('a directory that cannot be a target has its own code', async () => {
  fs.writeFileSync(join(base, 'file'), '');
  await expect(host.openTarget(join(base, 'file'), 'refuse')).rejects.toMatchObject({ code: 'restore.target-invalid' });
});

test('a target reached through links of the operator works', async () => {
  fs.mkdirSync(join(base, 'real'));
  fs.symlinkSync('real', join(base, 'via'));
  await using target = await host.openTarget(join(base, 'via'), 'refuse');
  await target.writeWhole(join(base, 'via/file'), Buffer.from('x'));
  await target.finish();
  expect(fs.readdirSync(join(base, 'real'))).toEqual(['file']);
});

test.runIf(isRoot)('a full disk is an error that says so', async () => {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', base], { stdio: 'ignore' });
  } catch {
    return; // mounting is not allowed in this container: the case needs a small file system
  }
  try {
    await using target = await host.openTarget(base, 'refuse');
    const writer = await target.createFile(join(base, 'large'), 1 << 20);
    await expect(writer.writeAt(Buffer.alloc(1 << 20, 'x'), 0)).rejects.toMatchObject({
      code: 'restore.failed',
      remedy: expect.stringContaining('room'),
    });
    await writer.abandon();
    expect(fs.readdirSync(base)).toEqual([]);
  } finally {
    execFileSync('umount', [base]);
  }
});
