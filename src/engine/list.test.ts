import { expect, test } from 'vitest';
import type { SnapshotContents } from '../drivers/driver.ts';
import type { Node } from '../model/node.ts';
import { listContents } from './list.ts';

function node(name: string, type: Node['type']): Node {
  const times = { mtimeNs: 0n, atimeNs: 0n, ctimeNs: 0n };
  return { name, type, mode: 0o644, ...times, uid: 0, gid: 0, inode: 0n, deviceId: 0n, size: 0, links: 0 };
}

const folders: Record<string, Node[]> = {
  '/': [node('a', 'dir'), node('z', 'file')],
  '/a': [node('b', 'dir'), node('c', 'file')],
  '/a/b': [node('d', 'file')],
};
const contents: Pick<SnapshotContents, 'node' | 'children'> = {
  node: async (path) => {
    const at = path.lastIndexOf('/');
    return folders[path.slice(0, at) || '/']?.find(({ name }) => name === path.slice(at + 1));
  },
  children: async (path) => folders[path],
};

async function paths(options: Parameters<typeof listContents>[1]): Promise<string[]> {
  const listed: string[] = [];
  for await (const { path } of listContents(contents, options)) listed.push(path);
  return listed;
}

test('lists a directory, or everything below it, parents first', async () => {
  expect(await paths({})).toEqual(['/a', '/z']);
  expect(await paths({ recursive: true })).toEqual(['/a', '/a/b', '/a/b/d', '/a/c', '/z']);
  expect(await paths({ path: 'a/', recursive: true })).toEqual(['/a/b', '/a/b/d', '/a/c']);
});

test('lists a file as itself', async () => {
  expect(await paths({ path: '//a/./c' })).toEqual(['/a/c']);
});
