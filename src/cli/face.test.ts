import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../base/clock.ts';
import { drivers } from '../drivers/registry.ts';
import { localHost } from '../hosts/local/index.ts';
import { windowsDirectory } from '../runs/window/index.ts';
import { ownIdentity } from '../runs/window/owner.ts';
import { Face } from './face.ts';
import { Screen } from './screen.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-face-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function faceOf(local: typeof localHost) {
  const said: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      said.push(String(chunk));
      done();
    },
  });
  const unused = async () => {
    throw new Error('not of use here');
  };
  const none = async () => [];
  const face = new Face({
    parts: {
      ...{ drivers: async () => drivers, storageKinds: none, hostKinds: none, channelKinds: none },
      ...{ localHost: async () => local, openContainers: async () => undefined },
      ...{ serve: unused, work: unused, mcp: unused, agent: unused },
    },
    screen: new Screen({ json: false, stdout: stream, stderr: stream, clock: systemClock }),
    clock: systemClock,
    signal: new AbortController().signal,
    env: { HOLDFAST_STATE: folder },
  });
  return { face, said };
}

/** What a backup left that was killed in its window. */
function leave(id: string, config: string): string {
  const directory = windowsDirectory({ HOLDFAST_STATE: folder });
  mkdirSync(directory, { mode: 0o700 });
  const record = { format: 1, config, source: 'shop', host: 'local', openedAtMs: 0, after: [] };
  const stopped = [{ stop: { kind: 'unit', name: 'holdfast-no-such' }, timeoutMs: 60_000 }];
  const text = JSON.stringify({ ...record, stopped });
  writeFileSync(join(directory, `${id}.1-1-another-boot.json`), text, { mode: 0o600 });
  return directory;
}

it('a record of a window that cannot be touched keeps no command from being done', async () => {
  // Stands for a read-only disk.
  mkdirSync(join(leave('0123456789abcdef', '/etc/holdfast.yaml'), `0123456789abcdef.${ownIdentity()}.json`));
  const { face, said } = faceOf(localHost);
  await face.uses('/mnt/nas/repo');
  expect(said[0]).toMatch(/^warning: the service holdfast-no-such: not repaired: /);
});

it('nor does anything else that goes wrong with it', async () => {
  leave('fedcba9876543210', '/etc/another.yaml');
  const { face, said } = faceOf(() => {
    throw new Error('this machine is not itself');
  });
  await face.uses('/mnt/nas/repo');
  expect(said).toEqual(['warning: what a backup left stopped cannot be looked for: this machine is not itself\n']);
});
