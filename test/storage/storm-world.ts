/** A repository in a bucket behind a storm, another one on a disk, three changing sources, and a model of what must be in them. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '../../src/base/secrets.ts';
import { drivers } from '../../src/drivers/registry.ts';
import { hostKinds, localHost } from '../../src/hosts/registry.ts';
import { silent } from '../../src/model/run.ts';
import { loadConfig } from '../../src/operations/configuration/configuration.ts';
import type { Execution, SourceAccess } from '../../src/operations/operation.ts';
import { initRepository, type Repository } from '../../src/repository/index.ts';
import { openLocal } from '../../src/storage/local/local-storage.ts';
import { storageKinds } from '../../src/storage/registry.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { type S3Server, startMoto } from '../servers/s3-moto.ts';
import { type StormProxy, startStormProxy } from '../servers/storm-proxy.ts';
import { impatientClock, noise } from '../support/trial-repository.ts';
import { openS3 } from './s3-access.ts';

export const sources = ['one', 'two', 'three'] as const;
export type SourceName = (typeof sources)[number];
export const stormPassword = 'a password for the storm';

/** Path → hash of the content. */
export type Content = ReadonlyMap<string, string>;

export interface StormWorld extends AsyncDisposable {
  readonly server: S3Server;
  readonly proxy: StormProxy;
  readonly uses: SourceAccess & Execution;
  /** Past the storm: what is really stored. */
  readonly repository: Repository;
  /** On the disk beside the sources: no storm reaches it. */
  readonly shelf: Repository;
  readonly folder: string;
  /** As restic writes them. */
  readonly urls: readonly string[];
  /** Changes some files of a source; returns what it holds now. */
  change(source: SourceName, draw: () => number): Content;
}

/** Milliseconds instead of a third of a second for each operation that opens it. */
const cheap = { N: 1024, r: 8, p: 1 };
/** The same for every seed, so that the repository differs only by its keys. */
const filesPerSource = 12;

export async function startWorld(): Promise<StormWorld> {
  const server = await startMoto();
  const proxy = await startStormProxy(server.endpoint);
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-storm-'));
  const clock = impatientClock;
  const url = `s3:${server.endpoint}/storm/repository`;
  const init = async (storage: Storage): Promise<Repository> =>
    await initRepository({ storage, password: new Secret(stormPassword), clock, kdf: cheap });
  const repository = await init(await openS3(url, { env: server.env, clock }));
  const shelf = await init(await openLocal(join(folder, 'shelf'), { create: true }));
  writeFileSync(join(folder, 'password'), stormPassword);
  for (const source of sources) mkdirSync(join(folder, source));
  writeFileSync(join(folder, 'holdfast.yaml'), configuration(folder, proxy.endpoint));
  const kinds = { drivers, storageKinds, hostKinds, channelKinds: [] };
  const config = await loadConfig(join(folder, 'holdfast.yaml'), kinds);
  const host = localHost();
  const env = { ...server.env, AWS_EC2_METADATA_DISABLED: 'true', HOLDFAST_STATE: join(folder, 'state') };
  const execution = { clock, signal: new AbortController().signal, report: silent };
  const openContainers = async () => undefined;
  return {
    server,
    proxy,
    uses: { config, ...kinds, env, localHost: () => host, openContainers, ...execution },
    repository,
    shelf,
    folder,
    urls: [url, join(folder, 'shelf')],
    change: (source, draw) => change(join(folder, source), draw),
    [Symbol.asyncDispose]: async () => {
      await repository.close();
      await shelf.close();
      await proxy[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function configuration(folder: string, endpoint: string): string {
  const lines = sources.map(
    (name) => `  ${name}: { driver: files, paths: [${join(folder, name)}], repository: cloud }`,
  );
  return `repositories:
  cloud: { url: "s3:${endpoint}/storm/repository", password: { file: ${join(folder, 'password')} } }
  shelf: { url: ${join(folder, 'shelf')}, password: { file: ${join(folder, 'password')} } }
sources:
${lines.join('\n')}
`;
}

function change(directory: string, draw: () => number): Content {
  const changes = 1 + Math.floor(draw() * 3);
  for (let at = 0; at < changes; at++) {
    const file = join(directory, `file-${Math.floor(draw() * filesPerSource)}`);
    const size = draw() < 0.1 ? 300_000 : Math.floor(draw() * 30_000);
    writeFileSync(file, noise(String(draw()), size));
  }
  return contentOf(directory);
}

export function contentOf(directory: string): Content {
  const files = readdirSync(directory).sort((a, b) => (a < b ? -1 : 1));
  return new Map(files.map((file) => [file, hashOf(readFileSync(join(directory, file)))]));
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
