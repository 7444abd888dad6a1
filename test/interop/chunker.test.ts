/** restic cuts files into the same chunks as we do, under the polynomial of its own repository. */
import { execFileSync } from 'node:child_process';
import { createHash, hash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { chunkerTables, chunkLimits, scanCandidates, selectCuts } from '../../src/repository/cutting/chunker.ts';
import { createKernel } from '../../src/repository/kernel/kernel.ts';
import { deriveKey, Sealer } from '../../src/repository/sealing/crypto.ts';

const base = mkdtempSync(join(tmpdir(), 'holdfast-chunker-'));
afterAll(() => rmSync(base, { recursive: true }));
const kernel = createKernel();

/** Bytes that look random and are the same every time. */
function noise(length: number, seed: string): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at += 64) createHash('sha512').update(`${seed}${at}`).digest().copy(bytes, at);
  return bytes;
}

const minBytes = chunkLimits.minBytes;
const files: Record<string, Buffer> = {
  random: noise(16 << 20, 'a'),
  zeros: Buffer.alloc((5 << 20) + 3),
  'zeros to the last byte': Buffer.alloc(4 * minBytes),
  'one byte repeated': Buffer.alloc(20 << 20, 0xe5),
  'a sentence repeated': Buffer.alloc(18 << 20, 'all work and no play '),
  'noise, zeros, noise': Buffer.concat([noise(1_500_000, 'b'), Buffer.alloc(3_000_001), noise(1_500_000, 'c')]),
  'zeros, noise, zeros': Buffer.concat([Buffer.alloc(700_000), noise(70, 'd'), Buffer.alloc(1_300_000)]),
  'the smallest chunk': noise(minBytes, 'e'),
  'one byte more': noise(minBytes + 1, 'e'),
  'one byte less': noise(minBytes - 1, 'e'),
  short: noise(10, 'f'),
};

function chunkIds(data: Uint8Array, polynomial: bigint): string[] {
  const candidates = scanCandidates(kernel, chunkerTables(polynomial), data, 0);
  const ends = selectCuts(candidates, 0, data.byteLength, { ...chunkLimits, atEnd: true });
  return ends.map((end, i) => hash('sha256', data.subarray(ends[i - 1] ?? 0, end)));
}

describe.each(['restic', 'restic-new'])('%s', (program) => {
  const place = join(base, program);
  const repository = join(place, 'repository');
  const source = join(place, 'source');
  const env = { ...process.env, RESTIC_PASSWORD: 'a password', RESTIC_CACHE_DIR: join(place, 'cache') };
  const restic = (...args: string[]): string =>
    execFileSync(program, ['-r', repository, ...args], { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'pipe'] });

  test('cuts where we cut', () => {
    mkdirSync(source, { recursive: true });
    for (const [name, content] of Object.entries(files)) writeFileSync(join(source, name), content);
    restic('init');
    const config: { chunker_polynomial: string } = JSON.parse(restic('cat', 'config'));
    restic('backup', source);
    const [{ id }]: { id: string }[] = JSON.parse(restic('snapshots', '--json'));
    const { nodes }: { nodes: { name: string; content: string[] }[] } = JSON.parse(treeOf(id));
    expect(new Set(nodes.map((node) => node.name))).toEqual(new Set(Object.keys(files)));
    for (const { name, content } of nodes) {
      expect(chunkIds(files[name], BigInt(`0x${config.chunker_polynomial}`)), name).toEqual(content);
    }
  });

  test('seals files that we open with its key', async () => {
    const [keyName] = readdirSync(join(repository, 'keys'));
    const keyFile = JSON.parse(readFileSync(join(repository, 'keys', keyName), 'utf8'));
    const base64 = (text: string): Uint8Array => Buffer.from(text, 'base64');
    const passwordKey = await deriveKey('a password', { ...keyFile, salt: base64(keyFile.salt) });
    const key = JSON.parse(Buffer.from(new Sealer(passwordKey, kernel).open(base64(keyFile.data))).toString());
    const masterKey = { encrypt: base64(key.encrypt), macK: base64(key.mac.k), macR: base64(key.mac.r) };
    const sealer = new Sealer(masterKey, kernel);
    const config = JSON.parse(Buffer.from(sealer.open(readFileSync(join(repository, 'config')))).toString());
    expect(config).toEqual(JSON.parse(restic('cat', 'config')));
    writeFileSync(join(repository, 'config'), sealer.seal(Buffer.from(JSON.stringify(config))));
    expect(JSON.parse(restic('cat', 'config'))).toEqual(config);
  });

  /** The tree of the source directory, found by its parents' `subtree` fields. */
  function treeOf(snapshot: string): string {
    let tree = JSON.parse(restic('cat', 'snapshot', snapshot)).tree;
    for (const name of source.split('/').slice(1)) {
      const { nodes }: { nodes: { name: string; subtree: string }[] } = JSON.parse(restic('cat', 'blob', tree));
      tree = nodes.find((node) => node.name === name)!.subtree;
    }
    return restic('cat', 'blob', tree);
  }
});
