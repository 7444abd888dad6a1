/** Key files and the master key they seal (restic design.rst, "Keys, Encryption and MAC"). Plain JSON, never compressed. */
import { HoldfastError } from '../../base/errors.ts';
import type { KdfParameters, MasterKey } from '../crypto.ts';
import { base64Of, countOf, objectOf, parseObject, textOf } from './malformed.ts';

export interface KeyFile {
  /** RFC 3339. */
  readonly created: string;
  readonly username: string;
  readonly hostname: string;
  readonly kdf: KdfParameters;
  readonly sealedMasterKey: Uint8Array;
}

/** scrypt takes 128·N·r bytes; more than this is an attack on whoever opens the repository, not a key. */
const mostKdfBytes = 1 << 30;

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

export function encodeKeyFile({ created, username, hostname, kdf, sealedMasterKey }: KeyFile): Uint8Array {
  const { N, r, p, salt } = kdf;
  const json = {
    created,
    username,
    hostname,
    kdf: 'scrypt',
    N,
    r,
    p,
    salt: base64(salt),
    data: base64(sealedMasterKey),
  };
  return Buffer.from(JSON.stringify(json));
}

/** `repository.unsupported` for another KDF or one that would take more than 1 GiB, `repository.damaged` if malformed. */
export function decodeKeyFile(bytes: Uint8Array): KeyFile {
  const json = parseObject(bytes, 'a key file');
  const N = countOf(json.N, 'scrypt’s N');
  const r = countOf(json.r, 'scrypt’s r');
  const p = countOf(json.p, 'scrypt’s p');
  const powerOfTwo = N > 1 && Number.isInteger(Math.log2(N));
  if (json.kdf !== 'scrypt' || !powerOfTwo || r < 1 || p < 1 || p > 1024 || 128 * N * r > mostKdfBytes) {
    throw new HoldfastError({
      code: 'repository.unsupported',
      message: 'a key file asks for a key derivation that is not known or not reasonable',
      remedy: 'Use the program that made the key to add one with scrypt and usual parameters.',
    });
  }
  return {
    created: textOf(json.created, 'a key’s time'),
    username: textOf(json.username, 'a key’s user', ''),
    hostname: textOf(json.hostname, 'a key’s host', ''),
    kdf: { N, r, p, salt: base64Of(json.salt, 'a key’s salt') },
    sealedMasterKey: base64Of(json.data, 'a key’s data'),
  };
}

export function encodeMasterKey({ encrypt, macK, macR }: MasterKey): Uint8Array {
  return Buffer.from(JSON.stringify({ mac: { k: base64(macK), r: base64(macR) }, encrypt: base64(encrypt) }));
}

export function decodeMasterKey(bytes: Uint8Array): MasterKey {
  const json = parseObject(bytes, 'the master key');
  const mac = objectOf(json.mac, 'the master key');
  return {
    encrypt: base64Of(json.encrypt, 'the master key', 32),
    macK: base64Of(mac.k, 'the master key', 16),
    macR: base64Of(mac.r, 'the master key', 16),
  };
}
