import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { Secret } from '../../base/secrets.ts';
import { fetchFile, saveFile } from './downloads.ts';
import { RemoteServer } from './server.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-download-'));
  file = join(folder, 'shop.db');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const fetched = (parts: AsyncIterable<Uint8Array>) => ({ snapshot: 's', time: 't', name: 'shop.db', parts });
const quiet = (): void => undefined;

test('while a download grows nothing has its name, and nobody else can read it', async () => {
  async function* parts() {
    yield Buffer.from('one');
    expect(readdirSync(folder)).toEqual([expect.stringMatching(/^\.holdfast-.*\.part$/)]);
    expect(statSync(join(folder, readdirSync(folder)[0])).mode & 0o777).toBe(0o600);
    yield Buffer.from('two');
  }
  expect(await saveFile(fetched(parts()), file, quiet)).toBe(6);
  expect([readdirSync(folder), readFileSync(file, 'utf8')]).toEqual([['shop.db'], 'onetwo']);
});

test('what appears under its name while it grows is not overwritten', async () => {
  async function* parts() {
    yield Buffer.from('ours');
    writeFileSync(file, 'theirs');
  }
  await expect(saveFile(fetched(parts()), file, quiet)).rejects.toMatchObject({ code: 'restore.target-exists' });
  expect([readdirSync(folder), readFileSync(file, 'utf8')]).toEqual([['shop.db'], 'theirs']);
});

test('a folder that is not there is said to be none, and what the server said stays what is told', async () => {
  async function* parts() {
    yield Buffer.from('one');
    throw new Error('the server went away');
  }
  await expect(saveFile(fetched(parts()), file, quiet)).rejects.toThrow('the server went away');
  expect(readdirSync(folder)).toEqual([]);
  const nowhere = join(folder, 'none', 'shop.db');
  await expect(saveFile(fetched(parts()), nowhere, quiet)).rejects.toMatchObject({ code: 'restore.target-invalid' });
});

test('a download that is stopped leaves nothing, and is told as stopped', async () => {
  const stop = new AbortController();
  const server = createServer((request, response) => {
    if (request.method === 'POST') {
      response.end(JSON.stringify({ url: 'http://elsewhere/download/x', snapshot: 's', time: 't' }));
      return;
    }
    response.writeHead(200, { 'content-length': '1000' });
    response.write('begun');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const remote = new RemoteServer({
      url: `http://127.0.0.1:${port}`,
      token: async () => new Secret('hf_token'),
      ...{ clock: systemClock, signal: stop.signal },
    });
    const wanted = await fetchFile({ snapshot: 's' }, remote);
    const saving = saveFile(wanted, file, () => stop.abort());
    await expect(saving).rejects.toMatchObject({ code: 'cancelled' });
    expect(readdirSync(folder)).toEqual([]);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});
