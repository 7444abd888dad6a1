/** Reads of objects that lie behind HTTP: whole, or by ranges, into memory of the reader; never fewer bytes than asked for. */
import { HoldfastError } from '../base/errors.ts';
import type { HttpReply, HttpReplyHead } from '../protocols/http/exchange.ts';
import { objectMissing, objectTooShort } from './object-faults.ts';
import { checkObjectName } from './object-name.ts';
import type { ByteRange } from './storage.ts';

export interface ReadRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly room: (head: HttpReplyHead) => Uint8Array | undefined;
  readonly signal?: AbortSignal;
}

/** What a storage gives to be read from. */
export interface HttpObjects {
  /** For messages. */
  readonly location: string;
  /** `undefined` if absent. */
  size(name: string, signal?: AbortSignal): Promise<number | undefined>;
  /** Asks for the object; `undefined` if absent, else a reply with the status 200, 206 or 416. */
  read(name: string, request: ReadRequest): Promise<HttpReply | undefined>;
}

/** Lengths beyond this are compared with the object's before memory is taken: one out of a damaged index may be anything. */
const trustedBytes = 1 << 20;

/** All bytes, or the range's, in memory of their own. The errors are those of `Storage.get`. */
export async function readObject(
  from: HttpObjects,
  name: string,
  range: ByteRange | undefined,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  checkObjectName(name);
  if (!range) return await readWhole(from, name, signal);
  const { offset, length } = range;
  if (length > trustedBytes) {
    const size = await from.size(name, signal);
    if (size !== undefined && offset + length > size) throw objectTooShort(name, from.location, offset + length);
  }
  const into = Buffer.allocUnsafeSlow(length);
  await readObjectInto(from, name, offset, into, signal);
  return into;
}

async function readWhole(from: HttpObjects, name: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const room = ({ status, headers }: HttpReplyHead): Uint8Array | undefined => {
    const length = Number(headers['content-length'] ?? Number.NaN);
    return status === 200 && Number.isSafeInteger(length) ? Buffer.allocUnsafeSlow(length) : undefined;
  };
  const reply = await from.read(name, { headers: {}, room, signal });
  if (!reply) throw objectMissing(name, from.location);
  // Without a length an answer that was cut off could not be told from a whole one.
  if (reply.status !== 200 || reply.headers['content-length'] === undefined) {
    throw strange(name, from.location, 'no length came');
  }
  return reply.body;
}

/** Fills `into` from `offset`. The errors are those of `Storage.getInto`. */
export async function readObjectInto(
  from: HttpObjects,
  name: string,
  offset: number,
  into: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<void> {
  checkObjectName(name);
  const end = offset + into.byteLength;
  if (into.byteLength === 0) return await checkPlace(from, name, offset, signal);
  const room = ({ status, headers }: HttpReplyHead): Uint8Array | undefined =>
    status === 206 && headers['content-length'] === String(into.byteLength) ? into : undefined;
  const headers = { range: `bytes=${offset}-${end - 1}` };
  const reply = await from.read(name, { headers, room, signal });
  if (!reply) throw objectMissing(name, from.location);
  if (reply.status === 206 && !startsAt(reply, offset)) {
    throw strange(name, from.location, 'another range came than was asked for');
  }
  if (reply.status !== 416 && reply.body === into) return;
  // What does not know ranges sends everything.
  const found = reply.status === 200 ? reply.body.subarray(offset, end) : reply.body;
  if (reply.status === 416 || found.byteLength < into.byteLength) throw objectTooShort(name, from.location, end);
  into.set(found.subarray(0, into.byteLength));
}

function startsAt({ headers }: HttpReply, offset: number): boolean {
  const range = headers['content-range'];
  return range === undefined || range.startsWith(`bytes ${offset}-`);
}

/** No bytes cannot be asked for by a range: only whether the place is within the object is looked at. */
async function checkPlace(from: HttpObjects, name: string, offset: number, signal: AbortSignal | undefined) {
  const size = await from.size(name, signal);
  if (size === undefined) throw objectMissing(name, from.location);
  if (offset > size) throw objectTooShort(name, from.location, offset);
}

function strange(name: string, location: string, why: string): HoldfastError {
  return new HoldfastError({
    code: 'storage.io',
    message: `cannot read ${name} in ${location}: ${why}`,
    remedy: 'Something between may have changed the answer: check the address, and that no proxy rewrites it.',
  });
}
