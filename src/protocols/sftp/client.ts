/**
 * An SFTP client over any byte stream to a server (the `sftp` subsystem of an SSH connection). Requests may be under way
 * in any number at once; OpenSSH answers them in order. Names are raw bytes, so that any name survives.
 */
import type { Duplex } from 'node:stream';
import {
  openFlags,
  PacketReader,
  PacketSplitter,
  PacketWriter,
  replies,
  requests,
  type SftpAttributes,
  type SftpName,
  statuses,
} from './packets.ts';

/** A server's refusal, by the status it gave. */
export class SftpError extends Error {
  /** One of `statuses`. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message || (statusNames.get(status) ?? `status ${status}`));
    this.status = status;
  }
}

const statusNames = new Map<number, string>([
  [statuses.endOfFile, 'end of file'],
  [statuses.noSuchFile, 'no such file'],
  [statuses.permissionDenied, 'permission denied'],
  [statuses.failure, 'failure'],
  [statuses.unsupported, 'operation not supported'],
]);

/** Extensions of OpenSSH that are used where the server offers them. */
export type SftpExtension =
  | 'posix-rename@openssh.com'
  | 'hardlink@openssh.com'
  | 'fsync@openssh.com'
  | 'lsetstat@openssh.com'
  | 'statvfs@openssh.com'
  | 'limits@openssh.com';

export interface SftpFileSystem {
  /** For this user. */
  readonly freeBytes: number;
  readonly isOutOfFiles: boolean;
  readonly isReadOnly: boolean;
}

/** What every server takes and gives in one read or write (draft-ietf-secsh-filexfer-02, section 3). */
const plainLength = 32_768;
/** Longest reply taken: OpenSSH's own bound is 256 KiB; listings of others may be longer. */
const largestPacket = 4 << 20;

interface Waiting {
  readonly type: number;
  readonly resolve: (reply: { readonly type: number; readonly body: PacketReader }) => void;
  readonly reject: (error: unknown) => void;
}

export class SftpClient {
  /** Bytes of one read or write. */
  readLength = plainLength;
  writeLength = plainLength;
  readonly #stream: Duplex;
  readonly #extensions = new Map<string, string>();
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 0;
  #version: Waiting | undefined;
  #broken: Error | undefined;

  private constructor(stream: Duplex, whyEnded: () => Error | undefined) {
    this.#stream = stream;
    const splitter = new PacketSplitter(largestPacket, (payload) => this.#receive(payload));
    stream.on('data', (chunk: Buffer) => {
      try {
        splitter.push(chunk);
      } catch (error) {
        this.#fail(error as Error);
        stream.destroy();
      }
    });
    stream.on('error', (error) => this.#fail(error));
    for (const event of ['end', 'close']) {
      stream.on(event, () => this.#fail(whyEnded() ?? new Error('the SFTP session ended')));
    }
  }

  /** Greets the server. The stream's end or failure rejects whatever is under way, and everything after it, with what `whyEnded` knows of it. */
  static async open(stream: Duplex, whyEnded: () => Error | undefined = () => undefined): Promise<SftpClient> {
    const client = new SftpClient(stream, whyEnded);
    const body = await new Promise<PacketReader>((resolve, reject) => {
      client.#version = { type: replies.version, resolve: (reply) => resolve(reply.body), reject };
      stream.write(new PacketWriter(requests.init).uint32(3).finish());
    });
    body.uint32();
    while (body.left > 0) client.#extensions.set(body.string().toString('latin1'), body.string().toString('latin1'));
    if (client.offers('limits@openssh.com')) await client.#askLimits();
    return client;
  }

  /** Set once nothing more can be asked. */
  get broken(): Error | undefined {
    return this.#broken;
  }

  offers(extension: SftpExtension): boolean {
    return this.#extensions.has(extension);
  }

  close(): void {
    this.#fail(new Error('the SFTP session was closed'));
    this.#stream.destroy();
  }

  async lstat(path: Uint8Array): Promise<SftpAttributes> {
    return (await this.#ask(replies.attributes, requests.lstat, (it) => it.string(path))).attributes();
  }

  async stat(path: Uint8Array): Promise<SftpAttributes> {
    return (await this.#ask(replies.attributes, requests.stat, (it) => it.string(path))).attributes();
  }

  async fstat(handle: Uint8Array): Promise<SftpAttributes> {
    return (await this.#ask(replies.attributes, requests.fstat, (it) => it.string(handle))).attributes();
  }

  async setstat(path: Uint8Array, attributes: SftpAttributes): Promise<void> {
    await this.#ask(replies.status, requests.setstat, (it) => it.string(path).attributes(attributes));
  }

  /** Of a symbolic link itself. Needs the extension. */
  async lsetstat(path: Uint8Array, attributes: SftpAttributes): Promise<void> {
    await this.#extended('lsetstat@openssh.com', (it) => it.string(path).attributes(attributes));
  }

  async fsetstat(handle: Uint8Array, attributes: SftpAttributes): Promise<void> {
    await this.#ask(replies.status, requests.fsetstat, (it) => it.string(handle).attributes(attributes));
  }

  async open(path: Uint8Array, flags: number, attributes: SftpAttributes = {}): Promise<Buffer> {
    const body = await this.#ask(replies.handle, requests.open, (it) =>
      it.string(path).uint32(flags).attributes(attributes),
    );
    return body.string();
  }

  async createExclusively(path: Uint8Array, mode: number): Promise<Buffer> {
    return await this.open(path, openFlags.write | openFlags.create | openFlags.exclusive, { mode });
  }

  async release(handle: Uint8Array): Promise<void> {
    await this.#ask(replies.status, requests.close, (it) => it.string(handle));
  }

  /** At most `length` bytes; none at the end of the file. */
  async read(handle: Uint8Array, offset: number, length: number): Promise<Buffer> {
    try {
      const body = await this.#ask(replies.data, requests.read, (it) =>
        it.string(handle).uint64(BigInt(offset)).uint32(length),
      );
      return body.string();
    } catch (error) {
      if (error instanceof SftpError && error.status === statuses.endOfFile) return Buffer.alloc(0);
      throw error;
    }
  }

  /** Not more than `writeLength` bytes at once. */
  async write(handle: Uint8Array, offset: number, bytes: Uint8Array): Promise<void> {
    await this.#ask(replies.status, requests.write, (it) => it.string(handle).uint64(BigInt(offset)).string(bytes));
  }

  async fsync(handle: Uint8Array): Promise<void> {
    await this.#extended('fsync@openssh.com', (it) => it.string(handle));
  }

  /** Everything in a directory but itself and its parent. */
  async list(path: Uint8Array): Promise<SftpName[]> {
    const handle = (await this.#ask(replies.handle, requests.opendir, (it) => it.string(path))).string();
    const found: SftpName[] = [];
    try {
      for (let more = true; more; ) {
        // Two at once: what a small directory needs, its names and its end, costs one round trip.
        const [names, others] = await Promise.all([this.#names(handle), this.#names(handle)]);
        for (const one of [...(names ?? []), ...(others ?? [])]) if (!isDots(one.name)) found.push(one);
        more = names !== undefined && others !== undefined;
      }
      return found;
    } finally {
      // Nobody waits for it: what it could say, the next request says, too.
      if (!this.#broken) this.release(handle).catch(() => undefined);
    }
  }

  /** The next names of a directory; `undefined` at its end. */
  async #names(handle: Uint8Array): Promise<readonly SftpName[] | undefined> {
    try {
      return (await this.#ask(replies.name, requests.readdir, (it) => it.string(handle))).names();
    } catch (error) {
      if (error instanceof SftpError && error.status === statuses.endOfFile) return undefined;
      throw error;
    }
  }

  async readlink(path: Uint8Array): Promise<Buffer> {
    const names = (await this.#ask(replies.name, requests.readlink, (it) => it.string(path))).names();
    return names[0]?.name ?? Buffer.alloc(0);
  }

  async realpath(path: Uint8Array): Promise<Buffer> {
    const names = (await this.#ask(replies.name, requests.realpath, (it) => it.string(path))).names();
    return names[0]?.name ?? Buffer.alloc(0);
  }

  async mkdir(path: Uint8Array, mode: number): Promise<void> {
    await this.#ask(replies.status, requests.mkdir, (it) => it.string(path).attributes({ mode }));
  }

  async rmdir(path: Uint8Array): Promise<void> {
    await this.#ask(replies.status, requests.rmdir, (it) => it.string(path));
  }

  async remove(path: Uint8Array): Promise<void> {
    await this.#ask(replies.status, requests.remove, (it) => it.string(path));
  }

  /** Where the server offers it, what is at `to` is replaced in one step; else this fails if something is there. */
  async rename(from: Uint8Array, to: Uint8Array): Promise<void> {
    if (this.offers('posix-rename@openssh.com')) {
      await this.#extended('posix-rename@openssh.com', (it) => it.string(from).string(to));
    } else {
      await this.renameNew(from, to);
    }
  }

  /** Fails if something is at `to`, as the draft has it (6.5). */
  async renameNew(from: Uint8Array, to: Uint8Array): Promise<void> {
    await this.#ask(replies.status, requests.rename, (it) => it.string(from).string(to));
  }

  /** Of the file system at a path, as statvfs(3) has it. Needs the extension. */
  async fileSystem(path: Uint8Array): Promise<SftpFileSystem> {
    const request = 'statvfs@openssh.com';
    const body = await this.#ask(replies.extended, requests.extended, (it) => it.string(request).string(path));
    const [, blockSize, , , freeBlocks, files, , freeFiles, , flags] = Array.from({ length: 11 }, () => body.uint64());
    return {
      freeBytes: Number(blockSize * freeBlocks),
      isOutOfFiles: files > 0n && freeFiles === 0n,
      isReadOnly: (flags & 1n) === 1n,
    };
  }

  /** OpenSSH takes the arguments the other way round than the draft says (its PROTOCOL, section 4.1), and others followed. */
  async symlink(target: Uint8Array, path: Uint8Array): Promise<void> {
    await this.#ask(replies.status, requests.symlink, (it) => it.string(target).string(path));
  }

  async hardlink(existing: Uint8Array, path: Uint8Array): Promise<void> {
    await this.#extended('hardlink@openssh.com', (it) => it.string(existing).string(path));
  }

  async #askLimits(): Promise<void> {
    const body = await this.#ask(replies.extended, requests.extended, (it) => it.string('limits@openssh.com'));
    body.uint64(); // of a packet
    const [read, write] = [Number(body.uint64()), Number(body.uint64())];
    const atMost = 255 << 10;
    this.readLength = read > 0 ? Math.min(read, atMost) : plainLength;
    this.writeLength = write > 0 ? Math.min(write, atMost) : plainLength;
  }

  async #extended(extension: SftpExtension, fill: (packet: PacketWriter) => PacketWriter): Promise<void> {
    if (!this.offers(extension)) throw new SftpError(statuses.unsupported, '');
    await this.#ask(replies.status, requests.extended, (it) => fill(it.string(extension)));
  }

  async #ask(type: number, request: number, fill: (packet: PacketWriter) => PacketWriter): Promise<PacketReader> {
    if (this.#broken) throw this.#broken;
    const id = this.#nextId;
    this.#nextId = (this.#nextId + 1) >>> 0;
    const packet = fill(new PacketWriter(request).uint32(id)).finish();
    const reply = await new Promise<{ type: number; body: PacketReader }>((resolve, reject) => {
      this.#waiting.set(id, { type, resolve, reject });
      this.#stream.write(packet);
    });
    if (reply.type === replies.status) {
      const status = reply.body.uint32();
      if (type === replies.status && status === statuses.ok) return reply.body;
      throw new SftpError(status, reply.body.left > 0 ? reply.body.string().toString('utf8') : '');
    }
    if (reply.type !== type) throw new Error(`the server answered with an SFTP packet of type ${reply.type}`);
    return reply.body;
  }

  #receive(payload: Buffer): void {
    const body = new PacketReader(payload);
    const type = body.byte();
    if (type === replies.version) {
      this.#version?.resolve({ type, body });
      this.#version = undefined;
      return;
    }
    const id = body.uint32();
    this.#waiting.get(id)?.resolve({ type, body });
    this.#waiting.delete(id);
  }

  #fail(error: Error): void {
    this.#broken ??= error;
    this.#version?.reject(this.#broken);
    this.#version = undefined;
    for (const { reject } of this.#waiting.values()) reject(this.#broken);
    this.#waiting.clear();
  }
}

function isDots(name: Buffer): boolean {
  const text = name.toString('latin1');
  return text === '.' || text === '..';
}
