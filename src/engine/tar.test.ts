import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Node } from '../model/node.ts';
import { writeTar } from './tar.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-tar-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function node(name: string, type: Node['type'], more: Partial<Node> = {}): Node {
  const times = { mtimeNs: 1_700_000_000_123_456_789n, atimeNs: 0n, ctimeNs: 0n };
  return {
    name,
    type,
    mode: 0o640,
    ...times,
    uid: 1000,
    gid: 100,
    inode: 1n,
    deviceId: 0n,
    size: 0,
    links: 1,
    ...more,
  };
}

const long = 'n'.repeat(180);
const text = 'x'.repeat(700);
const tree: Record<string, Node[]> = {
  '/': [node('d', 'dir', { mode: 0o755 })],
  '/d': [
    node('a', 'file', { size: 700 }),
    node(long, 'file', { size: 3 }),
    node('ü\udcff', 'file', { size: 0 }),
    node('link', 'symlink', { linkTarget: '../elsewhere' }),
    node('socket', 'socket'),
    node('far', 'file', { size: 3, uid: 3_000_000_000, mtimeNs: -1_500_000_000n }),
  ],
};
const contents = {
  children: async (path: string) => tree[path] ?? [],
  node: async (path: string) => tree[path.replace(/\/[^/]*$/, '') || '/'].find((one) => path.endsWith(`/${one.name}`)),
  async *read(path: string): AsyncGenerator<Uint8Array> {
    yield Buffer.from(path.endsWith('/a') ? text : 'abc');
  },
};

async function tar(): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of writeTar(contents, '/', new AbortController().signal)) parts.push(part);
  return Buffer.concat(parts);
}

describe('a tar file of a snapshot', () => {
  it('is what tar reads: names of any bytes and length, owners, times, links', async () => {
    const bytes = await tar();
    expect(bytes.byteLength % 512).toBe(0);
    const options = { input: bytes, env: { ...process.env, TZ: 'UTC', LC_ALL: 'C' } };
    const listed = execFileSync('tar', ['-tvf', '-', '--full-time', '--numeric-owner'], options).toString();
    const lines = listed
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/ +/g, ' ').replace(/ 1969\S+ \S+/, ' …'));
    const time = '2023-11-14 22:13:20.123456789';
    expect(lines).toEqual([
      `drwxr-xr-x 1000/100 0 ${time} d/`,
      `-rw-r----- 1000/100 700 ${time} d/a`,
      `-rw-r----- 1000/100 3 ${time} d/${long}`,
      String.raw`-rw-r----- 1000/100 0 ${time} d/\303\274\377`,
      `lrw-r----- 1000/100 0 ${time} d/link -> ../elsewhere`,
      // GNU tar lists fractions before the epoch a second late; what it restores is right.
      '-rw-r----- 3000000000/100 3 … d/far',
    ]);
    execFileSync('tar', ['-xf', '-', '-C', folder, '--no-same-owner'], options);
    expect(execFileSync('cat', [join(folder, 'd/a')]).toString()).toBe(text);
    expect(statSync(join(folder, 'd/far'), { bigint: true }).mtimeNs).toBe(-1_500_000_000n);
  });

  it('breaks when a file is not as long as the snapshot says', async () => {
    const short = {
      ...contents,
      async *read(): AsyncGenerator<Uint8Array> {
        yield Buffer.from('ab');
      },
    };
    await expect(async () => {
      for await (const _ of writeTar(short, '/', new AbortController().signal));
    }).rejects.toMatchObject({ code: 'repository.damaged' });
  });
});
