/** What every decoder says of bytes that are not what they should be. */
import { HoldfastError, messageOf } from '../../base/errors.ts';

export function malformed(what: string, why: string, cause?: unknown): HoldfastError {
  return new HoldfastError({
    code: 'repository.damaged',
    message: `${what} is malformed: ${why}`,
    remedy:
      'Run holdfast repo check to see what is affected; restore the file from another copy of the repository if there is one.',
    cause,
  });
}

export type JsonObject = Record<string, unknown>;

/** Parses JSON that must be an object; `repository.damaged` otherwise. Memory: a small multiple of the text. */
export function parseObject(bytes: Uint8Array, what: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
  } catch (error) {
    throw malformed(what, messageOf(error), error);
  }
  return objectOf(value, what);
}

export function objectOf(value: unknown, what: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed(what, 'not an object');
  return value as JsonObject;
}

export function arrayOf(value: unknown, what: string): unknown[] {
  if (!Array.isArray(value)) throw malformed(what, 'not a list');
  return value;
}

export function textOf(value: unknown, what: string, absent?: string): string {
  if ((value === undefined || value === null) && absent !== undefined) return absent;
  if (typeof value !== 'string') throw malformed(what, 'not a text');
  return value;
}

/** A whole number of 0 to `most`. */
export function countOf(value: unknown, what: string, options: { absent?: number; most?: number } = {}): number {
  if ((value === undefined || value === null) && options.absent !== undefined) return options.absent;
  const most = options.most ?? Number.MAX_SAFE_INTEGER;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > most) {
    throw malformed(what, 'not a whole number in range');
  }
  return value;
}

const hexId = /^[0-9a-f]{64}$/;

export function idOf(value: unknown, what: string): string {
  if (typeof value !== 'string' || !hexId.test(value)) throw malformed(what, 'not an id');
  return value;
}

export function base64Of(value: unknown, what: string, length?: number): Uint8Array {
  const text = textOf(value, what);
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) throw malformed(what, 'not base64');
  if (length !== undefined && bytes.byteLength !== length) throw malformed(what, `not ${length} bytes`);
  return bytes;
}
