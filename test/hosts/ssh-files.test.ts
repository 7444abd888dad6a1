/** Files of the SSH host against a real sshd. */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareNames } from '../../src/base/names.ts';
import { output } from '../../src/hosts/conformance/case.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import type { NodeAttributes } from '../../src/model/node.ts';
import { type Sshd, startSshd } from '../servers/sshd.ts';
import { mkdtempIn, openHost, ownSshd, read, settingsOf } from '../support/ssh-hosts.ts';

let sshd: Sshd;
let folder: string;

beforeAll(async () => {
  sshd = await startSshd();
  folder = mkdtempSync(join(tmpdir(), 'holdfast-ssh-'));
});

afterAll(async () => {
  await sshd[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

describe('files', () => {
  test('have the attributes this machine sees', async () => {
    const host = await openHost(settingsOf(sshd));
    const local = localHost();
    const directory = mkdtempIn(folder);
    const script = `
      echo x > a; ln a b; ln -s 'no where' link; mkdir -m 1777 sub; mkfifo pipe; touch -d '1969-12-31 23:59:58.5Z' old
      touch -d '2262-01-01' far; chmod 6755 b; mknod null c 1 3 || :; mknod big b 300 70000 || :
      touch exact; setfattr -n user.test -v some exact; setfattr -n user.empty old; setfacl -m u:1:r,m::r a; setfacl -d -m g:2:rx sub
      truncate -s 5G sparse; touch -d '2020-02-02 02:02:02.123456789' exact
    `;
    expect((await output(local, { argv: ['sh', '-c', script], cwd: directory })).status).toBe(0);
    const sorted = (xattrs: NodeAttributes['xattrs']) => xattrs?.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    const strip = (all: readonly NodeAttributes[]) =>
      // looking at a link changes its atime; getfattr sorts
      all
        .map((one) => ({ ...one, xattrs: sorted(one.xattrs), atimeNs: undefined }))
        .toSorted((a, b) => (a.name < b.name ? -1 : 1));
    const fail = (path: string): void => expect.unreachable(path);
    expect(strip(await host.files.list(directory, fail))).toEqual(strip(await local.files.list(directory, fail)));
    for (const path of ['/', '/dev/null', `${directory}/b`, `${directory}/link`]) {
      expect(strip([await host.files.attributes(path)])).toEqual(strip([await local.files.attributes(path)]));
    }
  });

  test('are read whole also where their size is not what it seems', async () => {
    const host = await openHost(settingsOf(sshd));
    expect((await read(host, '/proc/version')).toString()).toContain('Linux');
    for (const length of [0, 1, 261_119, 261_120, 261_121, 3_000_000]) {
      const content = randomBytes(length);
      writeFileSync(join(folder, 'sized'), content);
      expect((await read(host, join(folder, 'sized'))).equals(content)).toBe(true);
    }
  });

  test('have holes that are skipped, also at both ends and while it is read', async () => {
    const host = await openHost(settingsOf(sshd));
    const path = join(folder, 'sparse');
    const data = randomBytes(1 << 20);
    const [size, at] = [2 ** 40, 2 ** 39];
    const file = openSync(path, 'w');
    ftruncateSync(file, size);
    writeSync(file, data, 0, data.length, at);
    closeSync(file);
    const reader = await host.files.open(path);
    const before = await reader.skipHole?.(8 << 20);
    expect(before).toBe(at);
    const found: Buffer[] = [];
    let after = 0;
    while (after === 0) {
      const chunk = Buffer.alloc(300_000);
      found.push(chunk.subarray(0, await reader.read(chunk)));
      after = (await reader.skipHole?.(8 << 20)) ?? 0;
    }
    expect(Buffer.concat(found).equals(data)).toBe(true);
    expect(at + data.length + after).toBe(size);
    expect(await reader.read(Buffer.alloc(1))).toBe(0);
    await reader.close();
  });

  test('a hole that is not skipped reads as zeros, and one of another file counts for nothing', async () => {
    const host = await openHost(settingsOf(sshd));
    const path = join(folder, 'holed');
    const content = Buffer.concat([randomBytes(5000), Buffer.alloc(1 << 20), randomBytes(5000)]);
    writeFileSync(path, content);
    const { status } = await output(localHost(), { argv: ['fallocate', '--dig-holes', path] });
    expect(status).toBe(0);
    const reader = await host.files.open(path);
    const chunks: Buffer[] = [];
    for (let turn = 0; ; turn++) {
      if (turn % 2 === 0) expect(await reader.skipHole?.(1 << 20)).toBe(0);
      else await reader.skipHole?.(1 << 16);
      const chunk = Buffer.alloc(100_000);
      const count = await reader.read(chunk);
      if (count === 0) break;
      chunks.push(chunk.subarray(0, count));
    }
    await reader.close();
    expect(Buffer.concat(chunks).equals(content)).toBe(true);

    writeFileSync(path, randomBytes(3 << 20));
    const kept = readFileSync(path);
    const open = await host.files.open(path);
    renameSync(path, `${path}-old`);
    const hole = openSync(path, 'w');
    ftruncateSync(hole, 4 << 20);
    closeSync(hole);
    expect(await open.skipHole?.(1 << 20)).toBe(0);
    const first = Buffer.alloc(1 << 20);
    const count = await open.read(first);
    expect(first.subarray(0, count).equals(kept.subarray(0, count))).toBe(true);
    await open.close();
  });

  test('a fifo in the place of a file, and a link, are not opened', async () => {
    const host = await openHost(settingsOf(sshd));
    const directory = mkdtempIn(folder);
    await output(localHost(), { argv: ['sh', '-c', 'mkfifo pipe; ln -s /etc/passwd link'], cwd: directory });
    for (const name of ['pipe', 'link']) {
      await expect(host.files.open(`${directory}/${name}`)).rejects.toMatchObject({ code: 'source.unreadable' });
    }
  });

  test('a file that changes while it is read shows that in its attributes', async () => {
    const host = await openHost(settingsOf(sshd));
    const path = join(folder, 'changing');
    writeFileSync(path, 'before');
    // The clock of many file systems ticks every few milliseconds only.
    utimesSync(path, 1_000_000_000, 1_000_000_000);
    const before = await host.files.attributes(path);
    const reader = await host.files.open(path);
    expect((await reader.attributes()).mtimeNs).toBe(before.mtimeNs);
    writeFileSync(path, 'after!');
    expect((await reader.attributes()).mtimeNs).not.toBe(before.mtimeNs);
    await reader.close();
  });

  test('are restored with links, devices and replaced in one step', async () => {
    const host = await openHost(settingsOf(sshd));
    const directory = mkdtempIn(folder);
    const source = mkdtempIn(folder);
    const script =
      'echo x > a; chmod 4755 a; ln -s a link; mkfifo pipe; mknod null c 1 3; mkdir sub; echo y > sub/b; setfattr -n user.t -v x a; setfacl -m u:1:r a; setfacl -d -m g:2:rx sub';
    await output(localHost(), { argv: ['sh', '-c', `umask 077; ${script}`], cwd: source });
    const nodes = await localHost().files.list(source, () => {});
    await using target = await host.openTarget(directory, 'replace');
    const problems: string[] = [];
    for (let turn = 0; turn < 2; turn++) {
      for (const node of nodes) {
        const path = `${directory}/${node.name}`;
        if (node.type === 'dir') await target.makeDirectory(path);
        else if (node.type === 'file')
          await target.writeWhole(path, Buffer.from('x\n'), node, (text) => problems.push(text));
        else await target.makeSpecial(path, node);
        await target.applyAttributes(path, node, (text) => problems.push(text));
      }
      await target.makeLink(`${directory}/second`, `${directory}/a`);
    }
    await target.finish();
    expect(problems).toEqual([]);
    const facts = (all: Awaited<typeof nodes>) =>
      all
        .filter(({ name }) => name !== 'second')
        .map(({ name, type, mode, mtimeNs, uid, linkTarget, device, xattrs }) => ({
          name,
          type,
          mode,
          mtimeNs,
          uid,
          linkTarget,
          device,
          xattrs,
        }))
        .toSorted((a, b) => (a.name < b.name ? -1 : 1));
    const found = await localHost().files.list(directory, () => {});
    expect(facts(found)).toEqual(
      facts(nodes).map((one) => (one.type === 'symlink' ? { ...one, mtimeNs: expect.anything() } : one)),
    );
    expect(found.find(({ name }) => name === 'second')?.links).toBe(2);
  });

  test('of a user who may not read or own everything: what cannot be done is told', async () => {
    if (process.getuid?.() !== 0) return; // only root can sign in as somebody else
    const server = await ownSshd({ config: ['ForceCommand internal-sftp'] });
    chmodSync(folder, 0o755);
    const directory = mkdtempIn(folder);
    chmodSync(directory, 0o755);
    const script = 'echo x > open; echo x > shut; chmod 600 shut; mkdir -m 700 closed; mkdir -m 777 drop';
    await output(localHost(), { argv: ['sh', '-c', script], cwd: directory });
    const host = await openHost({ ...settingsOf(server), ssh: `nobody@127.0.0.1:${server.port}` });
    const names = (await host.files.list(directory, () => {})).map(({ name }) => name).toSorted(compareNames);
    expect(names).toEqual(['closed', 'drop', 'open', 'shut']);
    await expect(host.files.open(`${directory}/shut`)).rejects.toMatchObject({ code: 'source.unreadable' });
    await expect(host.files.list(`${directory}/closed`, () => {})).rejects.toMatchObject({ code: 'source.unreadable' });
    await expect(host.files.attributes(`${directory}/closed/x`)).rejects.toMatchObject({ code: 'source.unreadable' });
    await expect(host.openTarget(`${directory}/new`, 'refuse')).rejects.toMatchObject({
      code: 'restore.target-invalid',
    });

    const node = await localHost().files.attributes(`${directory}/open`);
    const problems: string[] = [];
    await using target = await host.openTarget(`${directory}/drop`, 'refuse');
    for (const name of ['a', 'b']) {
      const suid = {
        ...node,
        mode: 0o4755,
        mtimeNs: 1_500_000_000n,
        xattrs: [{ name: 'user.t', value: Buffer.from('x') }],
      };
      await target.writeWhole(`${directory}/drop/${name}`, Buffer.from('x'), suid, (text) => problems.push(text));
    }
    expect(problems).toHaveLength(3);
    expect(problems.join()).toMatch(/owner cannot be restored.*SFTP alone.*to the second only/s);
    const made = await localHost().files.attributes(`${directory}/drop/a`);
    expect({ mode: made.mode, mtimeNs: made.mtimeNs }).toEqual({ mode: 0o755, mtimeNs: 1_000_000_000n });
    await expect(target.makeSpecial(`${directory}/drop/p`, { ...node, type: 'fifo' })).rejects.toMatchObject({
      code: 'restore.failed',
    });
  });

  test('and streams pass while the server changes its keys', async () => {
    const server = await ownSshd({ config: ['RekeyLimit 1M'] });
    const host = await openHost(settingsOf(server));
    const content = randomBytes(12 << 20);
    const path = join(folder, 'rekeyed');
    writeFileSync(path, content);
    const program = await host.run({ argv: ['cat'] });
    const feed = async (): Promise<void> => {
      for (let at = 0; at < content.length; at += 1 << 18) await program.write(content.subarray(at, at + (1 << 18)));
      await program.endInput();
    };
    const drainAll = async (): Promise<Buffer> => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of program.stdout) chunks.push(chunk);
      return Buffer.concat(chunks);
    };
    const [echoed, file] = await Promise.all([drainAll(), read(host, path), feed()]);
    expect(echoed.equals(content)).toBe(true);
    expect(file.equals(content)).toBe(true);
  });
});
