/** The payload of DUMP and RESTORE: type byte, value as in an RDB file, RDB version (16 bits), CRC-64 of all that. Source: cluster.c of Redis 7.2. */
import { crc64Redis } from '../crc64.ts';

const trailerBytes = 10;
/** No server knows less. */
const oldestVersion = 6;
/** A type byte that no server knows. */
const noType = 0xf0;

/** `version`: the RDB version a server must know for this type of value; it refuses a newer one than its own. */
export function dumpPayload(type: number, value: Uint8Array, version: number): Uint8Array {
  const payload = Buffer.allocUnsafe(1 + value.byteLength + trailerBytes);
  payload[0] = type;
  payload.set(value, 1);
  const end = 1 + value.byteLength;
  payload.writeUInt16LE(Math.max(version, oldestVersion), end);
  payload.set(
    crc64Redis()
      .update(payload.subarray(0, end + 2))
      .bytes(),
    end + 2,
  );
  return payload;
}

/** A payload whose version is looked at and whose value no server takes: what a server says to it tells whether it knows the version. */
export function probePayload(version: number): Uint8Array {
  return dumpPayload(noType, new Uint8Array(), version);
}
