/**
 * Sealing as restic does it (design.rst, "Keys, Encryption and MAC"): IV ‖ AES-256-CTR ciphertext ‖ Poly1305-AES tag over
 * the ciphertext, and the derivation of keys from passwords.
 */
import { type Cipheriv, createCipheriv, randomFillSync, scrypt, timingSafeEqual } from 'node:crypto';
import { copyBytes } from '../../base/copy-bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import { freeMemory } from '../../base/free-memory.ts';
import { blockBytes, type Kernel } from '../kernel/kernel.ts';

/** Bytes by which sealing lengthens: an IV before, a tag behind. */
export const sealOverhead = 32;

const ivBytes = 16;
/** From here on a CTR cipher of OpenSSL's pays for its making (about 10 µs); below, the key stream is made by one lasting ECB cipher. */
const ownCipherBytes = 64 * 1024;
/** IVs drawn at once. */
const ivBatch = 256;

export interface MasterKey {
  /** 32 bytes: AES-256. */
  readonly encrypt: Uint8Array;
  /** 16 bytes: AES-128 of Poly1305-AES. */
  readonly macK: Uint8Array;
  /** 16 bytes: r of Poly1305-AES, masked where it is used. */
  readonly macR: Uint8Array;
}

export function generateMasterKey(): MasterKey {
  return splitKey(randomFillSync(new Uint8Array(64)));
}

/** Seals and opens under one key. One per thread: it works in the kernel's memory. */
export class Sealer {
  readonly #key: MasterKey;
  readonly #kernel: Kernel;
  readonly #encrypt: Cipheriv;
  readonly #mac: Cipheriv;
  readonly #ivs = new Uint8Array(ivBatch * ivBytes);
  /** AES of each IV under the key k: the s of its tag. */
  #pads = Buffer.alloc(0);
  #nextIv = ivBatch;

  constructor(key: MasterKey, kernel: Kernel) {
    this.#key = key;
    this.#kernel = kernel;
    this.#encrypt = createCipheriv('aes-256-ecb', key.encrypt, null).setAutoPadding(false);
    this.#mac = createCipheriv('aes-128-ecb', key.macK, null).setAutoPadding(false);
  }

  /**
   * Seals under a fresh random IV; returns the bytes written to the start of `into`: `plaintext.byteLength + sealOverhead`.
   * Either may lie in shared memory. They may overlap only if the plaintext lies exactly where its ciphertext will (16 bytes
   * into `into`). Takes no memory beyond 64 KiB at a time.
   */
  sealInto(plaintext: Uint8Array, into: Uint8Array): number {
    const { byteLength } = plaintext;
    requireRoom(into, byteLength + sealOverhead);
    const { iv, pad } = this.#freshIv();
    const ciphertext = into.subarray(ivBytes, ivBytes + byteLength);
    this.#kernel.macStart(this.#key.macR);
    if (byteLength >= ownCipherBytes) this.#sealLong(iv, plaintext, ciphertext);
    else this.#sealShort(iv, plaintext, ciphertext);
    into.set(iv);
    into.set(this.#kernel.macFinish(pad), ivBytes + byteLength);
    return byteLength + sealOverhead;
  }

  /**
   * Opens what was sealed; returns the bytes written to the start of `into`: `sealed.byteLength − sealOverhead`. The tag is
   * checked before anything is deciphered: a wrong one throws `repository.damaged` and leaves `into` as it was. Either may
   * lie in shared memory, which nobody else may write to meanwhile. They may overlap only if `into` begins exactly where
   * the ciphertext does.
   */
  openInto(sealed: Uint8Array, into: Uint8Array): number {
    const { iv, ciphertext } = this.#authenticated(sealed, into);
    if (ciphertext.byteLength >= ownCipherBytes) {
      this.#decipher(iv, ciphertext, (part, from) => copyBytes(part, into, from));
    } else {
      this.#openShort(iv, ciphertext.byteLength, into);
    }
    return ciphertext.byteLength;
  }

  /**
   * Opens what was sealed without memory for the whole of it: `take` gets the plaintext in order, in parts that are gone
   * when it returns. The tag is checked before the first: a wrong one throws `repository.damaged`.
   */
  openParts(sealed: Uint8Array, take: (part: Uint8Array) => void): void {
    const { iv, ciphertext } = this.#authenticated(sealed);
    this.#decipher(iv, ciphertext, take);
  }

  seal(plaintext: Uint8Array): Uint8Array {
    const sealed = new Uint8Array(plaintext.byteLength + sealOverhead);
    this.sealInto(plaintext, sealed);
    return sealed;
  }

  open(sealed: Uint8Array): Uint8Array {
    const plaintext = new Uint8Array(Math.max(0, sealed.byteLength - sealOverhead));
    this.openInto(sealed, plaintext);
    return plaintext;
  }

  #freshIv(): { iv: Uint8Array; pad: Uint8Array } {
    if (this.#nextIv === ivBatch) {
      randomFillSync(this.#ivs);
      this.#pads = this.#mac.update(this.#ivs);
      this.#nextIv = 0;
    }
    const start = this.#nextIv++ * ivBytes;
    return { iv: this.#ivs.subarray(start, start + ivBytes), pad: this.#pads.subarray(start, start + ivBytes) };
  }

  /** Below one block of the kernel: everything happens in its memory. */
  #sealShort(iv: Uint8Array, plaintext: Uint8Array, ciphertext: Uint8Array): void {
    const { block } = this.#kernel;
    copyBytes(plaintext, block);
    this.#layStream(iv, plaintext.byteLength);
    this.#kernel.macBlock(plaintext.byteLength);
    copyBytes(block.subarray(0, plaintext.byteLength), ciphertext);
  }

  #sealLong(iv: Uint8Array, plaintext: Uint8Array, ciphertext: Uint8Array): void {
    const cipher = createCipheriv('aes-256-ctr', this.#key.encrypt, iv);
    for (let from = 0; from < plaintext.byteLength; from += blockBytes) {
      const part = cipher.update(plaintext.subarray(from, from + blockBytes));
      copyBytes(part, ciphertext, from);
      this.#kernel.block.set(part);
      this.#kernel.macBlock(part.byteLength);
      freeMemory(part);
    }
  }

  /** The parts of what was sealed, its tag checked; `into`, if given, has room for the plaintext. */
  #authenticated(sealed: Uint8Array, into?: Uint8Array): { iv: Uint8Array; ciphertext: Uint8Array } {
    const byteLength = sealed.byteLength - sealOverhead;
    if (byteLength < 0) throw damaged('it is shorter than a seal');
    if (into) requireRoom(into, byteLength);
    const iv = Uint8Array.prototype.slice.call(sealed, 0, ivBytes);
    const ciphertext = sealed.subarray(ivBytes, ivBytes + byteLength);
    this.#authenticate(iv, ciphertext, sealed.subarray(ivBytes + byteLength));
    return { iv, ciphertext };
  }

  /** Leaves the last block of the ciphertext in the kernel's block. */
  #authenticate(iv: Uint8Array, ciphertext: Uint8Array, tag: Uint8Array): void {
    this.#kernel.macStart(this.#key.macR);
    for (let from = 0; from < ciphertext.byteLength; from += blockBytes) {
      const part = ciphertext.subarray(from, from + blockBytes);
      copyBytes(part, this.#kernel.block);
      this.#kernel.macBlock(part.byteLength);
    }
    const expected = this.#kernel.macFinish(this.#mac.update(iv));
    if (!timingSafeEqual(expected, tag)) throw damaged('its authentication tag does not fit its bytes');
  }

  #openShort(iv: Uint8Array, byteLength: number, into: Uint8Array): void {
    this.#layStream(iv, byteLength);
    copyBytes(this.#kernel.block.subarray(0, byteLength), into);
  }

  #decipher(iv: Uint8Array, ciphertext: Uint8Array, take: (part: Uint8Array, from: number) => void): void {
    const cipher = createCipheriv('aes-256-ctr', this.#key.encrypt, iv);
    for (let from = 0; from < ciphertext.byteLength; from += blockBytes) {
      const part = cipher.update(ciphertext.subarray(from, from + blockBytes));
      take(part, from);
      freeMemory(part);
    }
  }

  #layStream(iv: Uint8Array, byteLength: number): void {
    if (byteLength === 0) return;
    const counters = this.#kernel.fillCounters(iv, 0, Math.ceil(byteLength / 16));
    this.#kernel.stream.set(this.#encrypt.update(counters));
    this.#kernel.applyStream(byteLength);
  }
}

export interface KdfParameters {
  /** scrypt's cost, a power of two: time and memory (128 · N · r bytes). */
  readonly N: number;
  /** Block size. */
  readonly r: number;
  /** Repetitions: time alone. */
  readonly p: number;
  readonly salt: Uint8Array;
}

/** 32 MiB and about a quarter of a second. One of the equal choices of the OWASP Password Storage Cheat Sheet for scrypt. */
export const defaultKdf = { N: 32_768, r: 8, p: 3 } as const;

/** A key file may ask for at most this much memory: it is read before anything of it is authenticated. */
const mostKdfBytes = 1 << 30;

/**
 * Derives the key that seals a master key in a key file. Throws `repository.unsupported` if the parameters ask for more
 * than 1 GiB or are none of scrypt's. Memory: 128 · N · r bytes.
 */
export async function deriveKey(password: string, { N, r, p, salt }: KdfParameters): Promise<MasterKey> {
  const bytes = 128 * r * (N + p + 2);
  const whole = [N, r, p].every((value) => Number.isInteger(value) && value >= 1);
  if (!whole || N < 2 || !Number.isInteger(Math.log2(N)) || bytes > mostKdfBytes || r * p >= 2 ** 20) {
    throw new HoldfastError({
      code: 'repository.unsupported',
      message: `the key file asks for scrypt with N=${N}, r=${r}, p=${p}, which is not possible or needs too much memory`,
      remedy: 'Open the repository with another key; this key file is damaged or was made to exhaust this machine.',
    });
  }
  const derived = await new Promise<Buffer>((resolve, reject) => {
    scrypt(password, salt, 64, { N, r, p, maxmem: bytes + (1 << 20) }, (error, key) =>
      error ? reject(error) : resolve(key),
    );
  });
  return splitKey(derived);
}

/** 64 bytes are 32 for AES, 16 for k, 16 for r, in this order. */
function splitKey(bytes: Uint8Array): MasterKey {
  return { encrypt: bytes.slice(0, 32), macK: bytes.slice(32, 48), macR: bytes.slice(48, 64) };
}

function requireRoom(into: Uint8Array, bytes: number): void {
  if (into.byteLength >= bytes) return;
  throw new HoldfastError({
    code: 'internal',
    message: `${bytes} bytes do not fit into ${into.byteLength}`,
    remedy: 'Please report this with the log.',
  });
}

function damaged(reason: string): HoldfastError {
  return new HoldfastError({
    code: 'repository.damaged',
    message: `sealed bytes cannot be opened: ${reason}`,
    remedy:
      'Either the key is another one or the bytes were changed after they were stored: check the repository, then repair it from a copy.',
  });
}
