/** Key files and the master key they seal (restic design.rst, "Keys, Encryption and MAC"). Plain JSON, never compressed. */
import type { KdfParameters, MasterKey } from '../sealing/crypto.ts';
import { goJson } from './go-json.ts';
import { goTimeNs, goTimeText } from './go-time.ts';
import { JsonReader } from './json-reader.ts';
import { malformed, unsupported } from './malformed.ts';

export interface KeyFile {
  /** RFC 3339. */
  readonly created: string;
  readonly username: string;
  readonly hostname: string;
  readonly kdf: KdfParameters;
  readonly sealedMasterKey: Uint8Array;
}

const what = 'a key file';
/** scrypt takes 128 · N · r bytes; more than this is an attack on whoever opens the repository, not a key. */
const mostKdfBytes = 2 ** 30;
/** And it works through them p times: half a minute, where the usual parameters take a quarter of a second. */
const mostKdfWork = 2 ** 34;
/** IV and tag. */
const leastSealedBytes = 32;

export function encodeKeyFile({ created, username, hostname, kdf, sealedMasterKey }: KeyFile): Uint8Array {
  const { N, r, p } = kdf;
  const [salt, data] = [base64(kdf.salt), base64(sealedMasterKey)];
  return Buffer.from(goJson({ created: goTimeText(created), username, hostname, kdf: 'scrypt', N, r, p, salt, data }));
}

/** `repository.unsupported` for another KDF or one that takes more than 1 GiB or half a minute; `repository.damaged`. */
export function decodeKeyFile(bytes: Uint8Array): KeyFile {
  const file = { created: '', username: '', hostname: '', kdf: '', sealedMasterKey: new Uint8Array() };
  const parameters = { N: 0, r: 0, p: 0, salt: new Uint8Array() };
  const reader = new JsonReader(bytes, what);
  const fields = new Map<string, () => unknown>([
    ['created', () => (file.created = reader.text())],
    ['username', () => (file.username = reader.text())],
    ['hostname', () => (file.hostname = reader.text())],
    ['kdf', () => (file.kdf = reader.text())],
    ['N', () => (parameters.N = reader.count())],
    ['r', () => (parameters.r = reader.count())],
    ['p', () => (parameters.p = reader.count())],
    ['salt', () => (parameters.salt = Uint8Array.from(reader.base64()))],
    ['data', () => (file.sealedMasterKey = Uint8Array.from(reader.base64()))],
  ]);
  reader.object((name) => (fields.get(name) ?? (() => reader.other()))());
  reader.end();
  goTimeNs(file.created, what);
  requireScrypt(file.kdf, parameters);
  if (parameters.salt.byteLength === 0) throw malformed(what, 'it has no salt');
  if (file.sealedMasterKey.byteLength < leastSealedBytes) throw malformed(what, 'it holds no sealed key');
  return { ...file, kdf: parameters };
}

function requireScrypt(kdf: string, { N, r, p }: KdfParameters): void {
  const powerOfTwo = N > 1 && Number.isInteger(Math.log2(N));
  const bytes = 128 * N * r;
  const affordable = p <= 1024 && bytes <= mostKdfBytes && bytes * p <= mostKdfWork;
  if (kdf === 'scrypt' && powerOfTwo && r >= 1 && p >= 1 && affordable) return;
  throw unsupported('a key file asks for a key derivation that is not known or not reasonable');
}

export function encodeMasterKey({ encrypt, macK, macR }: MasterKey): Uint8Array {
  return Buffer.from(goJson({ mac: { k: base64(macK), r: base64(macR) }, encrypt: base64(encrypt) }));
}

export function decodeMasterKey(bytes: Uint8Array): MasterKey {
  const key = { encrypt: new Uint8Array(), macK: new Uint8Array(), macR: new Uint8Array() };
  const reader = new JsonReader(bytes, 'the master key');
  reader.object((name) => {
    if (name === 'encrypt') key.encrypt = Uint8Array.from(reader.base64(32));
    else if (name === 'mac') readMacKey(reader, key);
    else reader.other();
  });
  reader.end();
  const complete = key.encrypt.byteLength > 0 && key.macK.byteLength > 0 && key.macR.byteLength > 0;
  if (!complete) throw malformed('the master key', 'a part of it is missing');
  return key;
}

function readMacKey(reader: JsonReader, key: { macK: Uint8Array; macR: Uint8Array }): void {
  reader.object((name) => {
    if (name === 'k') key.macK = Uint8Array.from(reader.base64(16));
    else if (name === 'r') key.macR = Uint8Array.from(reader.base64(16));
    else reader.other();
  });
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
