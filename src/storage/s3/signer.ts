/** Signature Version 4 on our requests, by the official library; the hash of the body is made here, from memory shared or not. */
import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { SignatureV4 } from '@smithy/signature-v4';
import { formatInstant } from '../../base/clock.ts';
import { throwIfCancelled } from '../../base/errors.ts';

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** Absent: they do not end. */
  readonly expiration?: { getTime(): number };
}

export interface UnsignedRequest {
  readonly method: string;
  readonly protocol: 'http:' | 'https:';
  readonly host: string;
  /** Escaped as `escapePath` does. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Signing {
  readonly credentials: Credentials;
  readonly region: string;
  readonly service: 's3' | 'sts';
  readonly nowMs: number;
  /** SHA-256 of the body in hex: the server refuses a body that has another one. */
  readonly bodyHash: string;
}

/** The headers to send. */
export async function sign(request: UnsignedRequest, how: Signing): Promise<Record<string, string>> {
  const { accessKeyId, secretAccessKey, sessionToken } = how.credentials;
  const signer = new SignatureV4({
    service: how.service,
    region: how.region,
    credentials: { accessKeyId, secretAccessKey, sessionToken },
    sha256: NodeSha256,
    uriEscapePath: false,
  });
  const headers = { ...request.headers, host: request.host, 'x-amz-content-sha256': how.bodyHash };
  const signed = await signer.sign(
    { ...request, hostname: request.host, query: { ...request.query }, headers },
    { signingDate: formatInstant(how.nowMs) },
  );
  return signed.headers;
}

/** Between slices of this size others get their turn: 4 MiB are some 7 ms of hashing. */
const sliceBytes = 4 * 1024 * 1024;

export interface BodyHashes {
  /** In hex. */
  readonly sha256: string;
  /** In base64. */
  readonly md5?: string;
}

/** Hashes of the concatenated parts. */
export async function hashBody(
  parts: readonly Uint8Array[],
  { md5, signal }: { readonly md5: boolean; readonly signal?: AbortSignal },
): Promise<BodyHashes> {
  const hashes = [createHash('sha256'), ...(md5 ? [createHash('md5')] : [])];
  let since = 0;
  for (const part of parts) {
    for (let at = 0; at < part.byteLength; at += sliceBytes) {
      const slice = part.subarray(at, at + sliceBytes);
      for (const hash of hashes) hash.update(slice);
      since += slice.byteLength;
      if (since < sliceBytes) continue;
      since = 0;
      await setImmediate();
      throwIfCancelled(signal);
    }
  }
  return { sha256: hashes[0].digest('hex'), md5: hashes[1]?.digest('base64') };
}

/** The hash as the library wants it; with a secret it is an HMAC. */
class NodeSha256 {
  readonly #hash: Hash | Hmac;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(secret));
  }

  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytesOf(data));
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  /** Never called: a signature is made once. */
  reset(): void {
    throw new Error('a signature’s hash is used once');
  }
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): Buffer {
  if (typeof data === 'string') return Buffer.from(data, 'utf8');
  if (ArrayBuffer.isView(data)) return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return Buffer.from(data);
}
