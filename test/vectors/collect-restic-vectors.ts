/**
 * Reduces a repository to the documents in it, for the tests of the codecs: called by make-restic-vectors.sh. JSON
 * documents stand as text (restic writes nothing that is not UTF-8), everything else in base64.
 */
import { execFileSync } from 'node:child_process';
import { type BigIntStats, lstatSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { zstdDecompressSync } from 'node:zlib';
import { deriveKey, Sealer } from '../../src/repository/sealing/crypto.ts';
import { createKernel } from '../../src/repository/kernel/kernel.ts';

const { values } = parseArgs({
  options: Object.fromEntries(
    ['restic', 'zone', 'repository', 'locks', 'tree', 'out'].map((name) => [name, { type: 'string' as const }]),
  ),
});
const { restic, zone, repository, locks, tree, out } = values as Record<string, string>;
const kernel = createKernel();

function run(...args: string[]): Buffer {
  const options = { env: { ...process.env, RESTIC_REPOSITORY: repository }, maxBuffer: 1 << 28 };
  return execFileSync(restic, ['--quiet', ...args], options);
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

function text(bytes: Uint8Array): string {
  const decoded = Buffer.from(bytes).toString('utf8');
  if (!Buffer.from(decoded, 'utf8').equals(bytes)) throw new Error('a document is not UTF-8');
  return decoded;
}

async function masterKey() {
  const keyFile = readFileSync(filesIn(join(repository, 'keys'))[0]);
  const { N, r, p, salt, data } = JSON.parse(text(keyFile));
  const user = await deriveKey(process.env.RESTIC_PASSWORD!, { N, r, p, salt: Buffer.from(salt, 'base64') });
  const json = new Sealer(user, kernel).open(Buffer.from(data, 'base64'));
  const { mac, encrypt } = JSON.parse(text(json));
  const bytes = (value: string): Buffer => Buffer.from(value, 'base64');
  return { keyFile, json, key: { encrypt: bytes(encrypt), macK: bytes(mac.k), macR: bytes(mac.r) } };
}

const master = await masterKey();
const sealer = new Sealer(master.key, kernel);

function unpacked(folder: string) {
  return filesIn(folder).map((path) => {
    const envelope = sealer.open(readFileSync(path));
    return { envelope: base64(envelope), json: text(envelope[0] === 2 ? zstdDecompressSync(envelope.subarray(1)) : envelope) };
  });
}

function packs() {
  return filesIn(join(repository, 'data')).map((path) => {
    const bytes = readFileSync(path);
    const sealedHeader = bytes.subarray(bytes.byteLength - 4 - bytes.readUInt32LE(bytes.byteLength - 4), -4);
    return {
      id: path.slice(-64),
      bytes: bytes.byteLength,
      tail: base64(bytes.subarray(bytes.byteLength - 4 - sealedHeader.byteLength)),
      header: base64(sealer.open(sealedHeader)),
    };
  });
}

function trees() {
  const listed = run('list', 'blobs').toString().split('\n');
  const ids = new Set(listed.filter((line) => line.startsWith('tree ')).map((line) => line.split(' ')[1]));
  return [...ids].map((id) => ({ id, json: text(run('cat', 'blob', id)) }));
}

/** What the file system says of the tree's objects: so that a codec wrong both ways alike is found. */
function facts() {
  return readdirSync(tree, { encoding: 'buffer' }).map((name) => {
    const path = Buffer.concat([Buffer.from(`${tree}/`), name]);
    const stat: BigIntStats = lstatSync(path, { bigint: true });
    return {
      name: name.toString('hex'),
      mode: Number(stat.mode),
      mtimeNs: String(stat.mtimeNs),
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      inode: String(stat.ino),
      deviceId: String(stat.dev),
      size: stat.isFile() ? Number(stat.size) : 0,
      ...(stat.isBlockDevice() || stat.isCharacterDevice() ? { device: String(stat.rdev) } : {}),
      ...(stat.isSymbolicLink() ? { target: readlinkSync(path, 'buffer').toString('hex') } : {}),
    };
  });
}

const vectors = {
  madeBy: run('version').toString().trim(),
  zone,
  keyFile: text(master.keyFile),
  masterKey: text(master.json),
  config: text(sealer.open(readFileSync(join(repository, 'config')))),
  locks: unpacked(locks),
  snapshots: unpacked(join(repository, 'snapshots')),
  indexes: unpacked(join(repository, 'index')),
  packs: packs(),
  trees: trees(),
  facts: facts(),
};
writeFileSync(out, `${JSON.stringify(vectors, null, 1)}\n`);
