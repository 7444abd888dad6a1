/** Promises about files and restore targets. */
import { randomBytes } from 'node:crypto';
import { equalBytes } from '../../base/bytes.ts';
import { decodeName } from '../../base/names.ts';
import type { Host, HostFiles } from '../host.ts';
import { expect, expectEqual, expectError, fileNode, type HostCase } from './case.ts';

const hostileNames: readonly string[] = [
  ...[
    'plain',
    'with space',
    '-rf',
    'line\nbreak',
    'tab\tbell\u0007',
    'ünï',
    '\u{1f600}',
    'quote\'"',
    '\\',
    '$(x)',
    '*',
    '~',
  ],
  decodeName(Buffer.from([0x66, 0xff, 0xfe, 0x6f])),
  decodeName(Buffer.from([0xe9, 0x74, 0xe9])),
  'n'.repeat(255),
];

export const fileCases: readonly HostCase[] = [
  {
    id: 'small-file',
    why: 'a small file comes back as it was written, with mode and times',
    async run({ host, directory }) {
      await using target = await host.openTarget(directory, 'refuse');
      const path = `${directory}/file`;
      await target.writeWhole(path, Buffer.from('content'));
      await target.applyAttributes(path, fileNode('file', 7), () => {});
      await target.finish();
      const found = await host.files.attributes(path);
      expectEqual(found.mode, 0o640, 'the mode');
      expectEqual(found.mtimeNs / 1000n, fileNode('file', 7).mtimeNs / 1000n, 'the modification time in microseconds');
      expectEqual(found.size, 7, 'the size');
      expectEqual((await readAll(host.files, path)).toString(), 'content', 'the content');
    },
  },
  {
    id: 'large-file',
    why: 'a large file can be written in any order and is read in order',
    async run({ host, directory }) {
      const content = randomBytes(5 << 20);
      await using target = await host.openTarget(directory, 'refuse');
      const writer = await target.createFile(`${directory}/large`, content.length);
      for (const at of [3, 0, 4, 1, 2]) await writer.writeAt(content.subarray(at << 20, (at + 1) << 20), at << 20);
      await writer.close();
      expect(equalBytes(await readAll(host.files, `${directory}/large`), content), 'the content differs');
    },
  },
  {
    id: 'sparse-file',
    why: 'what is not written reads as zeros, and takes no time to be skipped where holes are seen',
    async run({ host, directory }) {
      const size = 8 << 20;
      await using target = await host.openTarget(directory, 'refuse');
      const writer = await target.createFile(`${directory}/sparse`, size);
      await writer.writeAt(Buffer.from('end'), size - 3);
      await writer.close();
      const content = await readAll(host.files, `${directory}/sparse`);
      expectEqual(content.length, size, 'the size');
      expectEqual(content.subarray(-3).toString(), 'end', 'the end');
      expect(
        content.subarray(0, -3).every((byte) => byte === 0),
        'something else than zeros was read',
      );
    },
  },
  {
    id: 'names',
    why: 'names of any bytes survive',
    async run({ host, directory }) {
      await using target = await host.openTarget(directory, 'refuse');
      for (const name of hostileNames) await target.writeWhole(`${directory}/${name}`, Buffer.from(name, 'utf16le'));
      const found = await host.files.list(directory, (_path, error) => {
        throw error;
      });
      expectEqual(
        JSON.stringify(found.map((one) => one.name).toSorted()),
        JSON.stringify(hostileNames.toSorted()),
        'the list',
      );
      for (const name of hostileNames) {
        const content = await readAll(host.files, `${directory}/${name}`);
        expectEqual(content.toString('utf16le'), name, 'the content of the file of that name');
      }
    },
  },
  {
    id: 'refuse-existing',
    why: 'what exists is not touched unless that is allowed',
    async run({ host, directory }) {
      await writeOne(host, directory, 'refuse', 'first');
      await expectError(() => writeOne(host, directory, 'refuse', 'second'), 'restore.target-exists', 'overwriting');
      expectEqual((await readAll(host.files, `${directory}/file`)).toString(), 'first', 'the content');
      await writeOne(host, directory, 'replace', 'third');
      expectEqual((await readAll(host.files, `${directory}/file`)).toString(), 'third', 'the content');
    },
  },
  {
    id: 'stay-inside',
    why: 'nothing is written outside of the target, nor through a symbolic link in it',
    async run({ host, directory }) {
      await using target = await host.openTarget(`${directory}/in`, 'replace');
      const into = async (path: string): Promise<void> => await target.writeWhole(path, Buffer.from('x'));
      for (const path of ['out', 'in/../out', 'in/.', 'in//x']) {
        await expectError(() => into(`${directory}/${path}`), 'restore.target-invalid', `writing to ${path}`);
      }
      await target.makeSpecial(`${directory}/in/link`, { ...fileNode('link', 0), type: 'symlink', linkTarget: '..' });
      await expectError(() => into(`${directory}/in/link/out`), 'restore.target-exists', 'writing through a link');
      const entries = await host.files.list(directory, () => {});
      expectEqual(entries.map((entry) => entry.name).join(), 'in', 'what lies beside the target');
    },
  },
  {
    id: 'abandoned-file',
    why: 'a file that was not completed does not appear, and what it was to replace stays',
    async run({ host, directory }) {
      await writeOne(host, directory, 'refuse', 'old');
      {
        await using target = await host.openTarget(directory, 'replace');
        const writer = await target.createFile(`${directory}/file`, 3);
        await writer.writeAt(Buffer.from('ne'), 0);
        await target.createFile(`${directory}/other`, 3);
      }
      const names = (await host.files.list(directory, () => {})).map((entry) => entry.name);
      expectEqual(names.join(), 'file', 'what lies there');
      expectEqual((await readAll(host.files, `${directory}/file`)).toString(), 'old', 'the content');
    },
  },
  {
    id: 'missing',
    why: 'what is not there has an error code of its own',
    async run({ host, directory }) {
      const path = `${directory}/nothing`;
      await expectError(() => host.files.attributes(path), 'source.missing', 'attributes');
      await expectError(() => host.files.list(path, () => {}), 'source.missing', 'a listing');
      await expectError(() => host.files.open(path), 'source.missing', 'opening');
    },
  },
];

async function writeOne(host: Host, directory: string, existing: 'refuse' | 'replace', text: string): Promise<void> {
  await using target = await host.openTarget(directory, existing);
  await target.writeWhole(`${directory}/file`, Buffer.from(text));
}

async function readAll(files: HostFiles, path: string): Promise<Buffer> {
  const reader = await files.open(path);
  const chunks: Buffer[] = [];
  try {
    for (;;) {
      const hole = (await reader.skipHole?.(1)) ?? 0;
      if (hole > 0) chunks.push(Buffer.alloc(hole));
      const chunk = Buffer.alloc(1 << 18);
      const count = await reader.read(chunk);
      if (count === 0) return Buffer.concat(chunks);
      chunks.push(chunk.subarray(0, count));
    }
  } finally {
    await reader.close();
  }
}
