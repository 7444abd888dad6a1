/** Checks an RDB file as it passes, without decoding it: that its checksum is right and that it ends where it says so. */
import { crc64Redis } from '../crc64.ts';
import { malformed } from './malformed.ts';

const checksumBytes = 8;
const endOpcode = 0xff;

export class RdbCheck {
  bytes = 0;
  readonly #crc = crc64Redis();
  #tail: Buffer = Buffer.alloc(0);

  update(piece: Uint8Array): void {
    this.bytes += piece.byteLength;
    this.#crc.update(piece);
    this.#tail = Buffer.concat([this.#tail, piece.subarray(-checksumBytes - 1)]).subarray(-checksumBytes - 1);
  }

  /** The file is complete: throws `source.unreadable` if it is not what the server wrote. False if the server wrote no checksum (`rdbchecksum no`). */
  end(): boolean {
    if (this.#tail.length <= checksumBytes || this.#tail[0] !== endOpcode)
      throw malformed('it does not end as an RDB file does');
    // The checksum of everything with its checksum is 0.
    if (this.#crc.isZero) return true;
    if (this.#tail.subarray(1).every((byte) => byte === 0)) return false;
    throw malformed('its checksum is wrong');
  }
}
