import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { localHost } from '../../hosts/local/index.ts';
import { readSecret, type SecretPlaces } from './secret-reference.ts';

let folder: string;
let places: SecretPlaces;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-secret-'));
  const host = localHost();
  places = { env: { GOOD: 'from env', EMPTY: '' }, run: (command) => host.run(command) };
});
afterAll(() => rm(folder, { recursive: true }));

async function fromFile(content: string | Uint8Array): Promise<string> {
  const path = join(folder, 'secret');
  await writeFile(path, content);
  return (await readSecret({ from: 'file', path }, 'repository nas', places)).reveal();
}

async function fromCommand(...argv: string[]): Promise<string> {
  return (await readSecret({ from: 'command', argv }, 'repository nas', places)).reveal();
}

describe('a secret', () => {
  it('is read from a file without the line ends after it', async () => {
    expect(await fromFile('pass word\n')).toBe('pass word');
    expect(await fromFile('x\r\n\n')).toBe('x');
    expect(await fromFile('two\nlines')).toBe('two\nlines');
  });

  it('is refused where restic would read another one, or none', async () => {
    await expect(fromFile(' x\n')).rejects.toThrow('begins or ends with white space');
    await expect(fromFile('\n')).rejects.toThrow('is empty');
    await expect(fromFile(Buffer.from([0xff, 0xfe]))).rejects.toThrow('is not UTF-8');
    await expect(fromFile('x'.repeat((64 << 10) + 1))).rejects.toThrow('longer than 64 KiB');
    const missing = readSecret({ from: 'file', path: join(folder, 'none') }, 'repository nas', places);
    await expect(missing).rejects.toMatchObject({
      code: 'secret.unavailable',
      message: expect.stringContaining('nas'),
    });
  });

  it('is read from the environment', async () => {
    expect((await readSecret({ from: 'env', name: 'GOOD' }, 'x', places)).reveal()).toBe('from env');
    await expect(readSecret({ from: 'env', name: 'EMPTY' }, 'x', places)).rejects.toThrow('EMPTY is empty');
    await expect(readSecret({ from: 'env', name: 'NONE' }, 'x', places)).rejects.toThrow('NONE is not set');
  });

  it('is read from a command that ended well', async () => {
    expect(await fromCommand('printf', 'from command\\n')).toBe('from command');
    await expect(fromCommand('sh', '-c', 'echo half; echo why >&2; exit 3')).rejects.toThrow('status 3: why');
    await expect(fromCommand('head', '-c', '200000', '/dev/zero')).rejects.toThrow('longer than 64 KiB');
    await expect(fromCommand('holdfast-no-such-command')).rejects.toMatchObject({ code: 'host.command-missing' });
  });
});
