/**
 * SFTP version 3 (draft-ietf-secsh-filexfer-02) as bytes, with the extensions of OpenSSH (PROTOCOL, section 4). Names are
 * raw bytes here; whoever calls decides what they mean.
 */
import { view } from '../../base/bytes.ts';

export const requests = {
  init: 1,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  lstat: 7,
  fstat: 8,
  setstat: 9,
  fsetstat: 10,
  opendir: 11,
  readdir: 12,
  remove: 13,
  mkdir: 14,
  rmdir: 15,
  realpath: 16,
  stat: 17,
  rename: 18,
  readlink: 19,
  symlink: 20,
  extended: 200,
} as const;

export const replies = { version: 2, status: 101, handle: 102, data: 103, name: 104, attributes: 105, extended: 201 };

export const statuses = {
  ok: 0,
  endOfFile: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  badMessage: 5,
  noConnection: 6,
  connectionLost: 7,
  unsupported: 8,
} as const;

export const openFlags = { read: 1, write: 2, create: 8, truncate: 16, exclusive: 32 } as const;

/** What a server says of an object; absent is what it did not say. `mode` has the type bits of st_mode. Times are seconds. */
export interface SftpAttributes {
  readonly size?: bigint;
  readonly uid?: number;
  readonly gid?: number;
  readonly mode?: number;
  readonly atime?: number;
  readonly mtime?: number;
}

export interface SftpName {
  readonly name: Buffer;
  readonly attributes: SftpAttributes;
}

const flags = { size: 1, owner: 2, mode: 4, times: 8, extended: 0x80000000 };

/** Builds one packet. Everything is big-endian; a string is its length and its bytes. */
export class PacketWriter {
  readonly #parts: Buffer[] = [];

  constructor(type: number) {
    this.#parts.push(Buffer.alloc(4), Buffer.from([type]));
  }

  uint32(value: number): this {
    const part = Buffer.allocUnsafe(4);
    part.writeUInt32BE(value >>> 0);
    this.#parts.push(part);
    return this;
  }

  uint64(value: bigint): this {
    const part = Buffer.allocUnsafe(8);
    part.writeBigUInt64BE(value);
    this.#parts.push(part);
    return this;
  }

  string(bytes: Uint8Array | string): this {
    const part = typeof bytes === 'string' ? Buffer.from(bytes, 'utf8') : view(bytes);
    this.uint32(part.length);
    this.#parts.push(part);
    return this;
  }

  attributes(of: SftpAttributes): this {
    const owner = of.uid !== undefined && of.gid !== undefined;
    const times = of.atime !== undefined && of.mtime !== undefined;
    const mask =
      (of.size === undefined ? 0 : flags.size) |
      (owner ? flags.owner : 0) |
      (of.mode === undefined ? 0 : flags.mode) |
      (times ? flags.times : 0);
    this.uint32(mask);
    if (of.size !== undefined) this.uint64(of.size);
    if (owner) this.uint32(of.uid).uint32(of.gid);
    if (of.mode !== undefined) this.uint32(of.mode);
    if (times) this.uint32(of.atime).uint32(of.mtime);
    return this;
  }

  finish(): Buffer {
    const packet = Buffer.concat(this.#parts);
    packet.writeUInt32BE(packet.length - 4);
    return packet;
  }
}

/** Thrown when a packet does not hold what it has to. */
export class MalformedPacket extends Error {
  constructor() {
    super('the server sent an SFTP packet that is cut short');
  }
}

/** Reads one packet's payload. What it gives out are views. */
export class PacketReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(payload: Uint8Array) {
    this.#bytes = view(payload);
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  byte(): number {
    return this.#take(1)[0];
  }

  uint32(): number {
    return this.#take(4).readUInt32BE();
  }

  uint64(): bigint {
    return this.#take(8).readBigUInt64BE();
  }

  string(): Buffer {
    return this.#take(this.uint32());
  }

  attributes(): SftpAttributes {
    const mask = this.uint32();
    const found: { -readonly [K in keyof SftpAttributes]: SftpAttributes[K] } = {};
    if (mask & flags.size) found.size = this.uint64();
    if (mask & flags.owner) [found.uid, found.gid] = [this.uint32(), this.uint32()];
    if (mask & flags.mode) found.mode = this.uint32();
    if (mask & flags.times) [found.atime, found.mtime] = [this.uint32(), this.uint32()];
    if ((mask & flags.extended) !== 0) {
      for (let pairs = this.uint32(); pairs > 0; pairs--) {
        this.string();
        this.string();
      }
    }
    return found;
  }

  names(): SftpName[] {
    const names: SftpName[] = [];
    for (let count = this.uint32(); count > 0; count--) {
      const name = this.string();
      this.string(); // the line `ls -l` would print: for people
      names.push({ name, attributes: this.attributes() });
    }
    return names;
  }

  #take(length: number): Buffer {
    if (length > this.left) throw new MalformedPacket();
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

/** Cuts a stream of bytes into packets. Memory: one packet of at most `largest` bytes. */
export class PacketSplitter {
  readonly #largest: number;
  readonly #deliver: (payload: Buffer) => void;
  readonly #head = Buffer.alloc(4);
  #headLength = 0;
  #packet: Buffer | undefined;
  #filled = 0;

  constructor(largest: number, deliver: (payload: Buffer) => void) {
    this.#largest = largest;
    this.#deliver = deliver;
  }

  /** True at a boundary between two packets. */
  get idle(): boolean {
    return this.#headLength === 0;
  }

  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) at += this.#packet ? this.#body(chunk, at) : this.#length(chunk, at);
  }

  #length(chunk: Buffer, at: number): number {
    const taken = chunk.copy(this.#head, this.#headLength, at, at + 4 - this.#headLength);
    this.#headLength += taken;
    if (this.#headLength < 4) return taken;
    const length = this.#head.readUInt32BE();
    if (length === 0 || length > this.#largest) throw new MalformedPacket();
    this.#packet = Buffer.allocUnsafeSlow(length);
    this.#filled = 0;
    return taken;
  }

  #body(chunk: Buffer, at: number): number {
    const packet = this.#packet!;
    const taken = chunk.copy(packet, this.#filled, at, at + packet.length - this.#filled);
    this.#filled += taken;
    if (this.#filled < packet.length) return taken;
    this.#packet = undefined;
    this.#headLength = 0;
    this.#deliver(packet);
    return taken;
  }
}
