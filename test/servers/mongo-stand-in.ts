/**
 * A server that speaks as much of MongoDB's protocol as backups and restores need, for places where no mongod can be had.
 * It is a replica set of one member (or standalone), keeps all former states, and can be told to fail. What it does is
 * modelled on the documented behaviour of MongoDB 7.0; it is no proof that a real server does the same.
 */

import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { Binary, type Document, Long, serialize, Timestamp } from 'bson';
import { commands } from './mongo-commands.ts';
import { MongoStore, StandInError } from './mongo-store.ts';
import { parseMessage, type Request, replyTo, type Scram, takeMessages } from './mongo-wire.ts';

export interface StandInOptions {
  readonly standalone?: boolean;
  readonly version?: string;
  /** Names and passwords; without any, everybody may do everything. */
  readonly users?: Readonly<Record<string, string>>;
  /** The databases its users have rights in, where none may list all. */
  readonly visible?: readonly string[];
  /** Where to listen: a Unix socket; else a free port of the loopback. */
  readonly socketPath?: string;
}

/** What goes wrong: the connection is cut, or the command is refused. */
export type Fault = 'cut' | { readonly code: number; readonly codeName: string; readonly errmsg: string };

/** A cursor gives the rest of what its query finds, batch by batch. */
export interface Cursor {
  readonly ns: string;
  next(count: number): { documents: Buffer[]; isDone: boolean };
}

export interface Connection {
  scram?: Scram;
  user?: string;
}

/** What a secondary does only if it is told that a secondary will do. */
const reads = new Set(['find', 'listDatabases', 'listCollections', 'listIndexes', 'dbStats', 'count']);

export class MongoStandIn implements AsyncDisposable {
  readonly store = new MongoStore();
  readonly options: StandInOptions;
  readonly cursors = new Map<bigint, Cursor>();
  /** Asked before each command. */
  fault: (name: string, command: Document) => Fault | undefined = () => undefined;
  /** Called after each command, to let writers in at exact places. */
  after: (name: string, command: Document) => void = () => {};
  /** Documents of one batch, so that small collections take several. */
  batchDocuments = 100;
  isPrimary = true;
  /** Reads at times before this one are refused. */
  oldestTime = 0n;
  readonly seen: string[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #nextCursor = 1n;

  constructor(options: StandInOptions = {}) {
    this.options = options;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async start(options: StandInOptions = {}): Promise<MongoStandIn> {
    const server = new MongoStandIn(options);
    if (options.socketPath === undefined) server.#server.listen(0, '127.0.0.1');
    else server.#server.listen(options.socketPath);
    await once(server.#server, 'listening');
    return server;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address ? address.port : 0;
  }

  get url(): string {
    return `mongodb://127.0.0.1:${this.port}`;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  get wireVersion(): number {
    return { '4': 9, '5': 13, '6': 17, '7': 21, '8': 25 }[this.version[0]] ?? 21;
  }

  get version(): string {
    return this.options.version ?? '7.0.5';
  }

  addCursor(cursor: Cursor): bigint {
    this.cursors.set(this.#nextCursor, cursor);
    return this.#nextCursor++;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (this.#server.listening) {
      this.#server.close();
      await once(this.#server, 'close');
    }
  }

  #serve(socket: Socket): void {
    const connection: Connection = {};
    let pending: Buffer = Buffer.alloc(0);
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.on('data', (piece) => {
      const { messages, rest } = takeMessages(Buffer.concat([pending, piece as Buffer]));
      pending = rest;
      for (const message of messages) {
        const reply = this.#answer(parseMessage(message), connection);
        if (reply === 'cut') return void socket.destroy();
        socket.write(reply);
      }
    });
  }

  #answer(request: Request, connection: Connection): Buffer | 'cut' {
    const [name] = Object.keys(request.command);
    this.seen.push(name);
    const fault = this.fault(name, request.command);
    if (fault === 'cut') return 'cut';
    let body: Buffer;
    try {
      if (fault) throw new StandInError(fault.code, fault.codeName, fault.errmsg);
      this.#authorise(name, connection);
      if (!this.isPrimary && reads.has(name) && request.command.$readPreference === undefined) {
        throw new StandInError(13435, 'NotPrimaryNoSecondaryOk', 'not primary and secondaryOk=false');
      }
      const run = commands[name];
      if (!run) throw new StandInError(59, 'CommandNotFound', `no such command: '${name}'`);
      const answer = run(this, request, connection);
      body = Buffer.isBuffer(answer) ? answer : Buffer.from(serialize({ ...answer, ...this.closing() }));
    } catch (error) {
      if (!(error instanceof StandInError)) throw error;
      const { code, codeName, message } = error;
      body = Buffer.from(serialize({ ok: 0, errmsg: message, code, codeName }));
    }
    this.after(name, request.command);
    return replyTo(request, body);
  }

  /** What every answer ends with. */
  closing(): Document {
    if (this.options.standalone) return { ok: 1 };
    const time = timestamp(this.store.time);
    const signature = { hash: new Binary(Buffer.alloc(20)), keyId: Long.ZERO };
    return { ok: 1, $clusterTime: { clusterTime: time, signature }, operationTime: time };
  }

  #authorise(name: string, { user }: Connection): void {
    const isOpen = /^(?:hello|isMaster|ismaster|ping|buildInfo|saslStart|saslContinue|endSessions)$/.test(name);
    if (!this.options.users || user !== undefined || isOpen) return;
    throw new StandInError(13, 'Unauthorized', `Command ${name} requires authentication`);
  }
}

export function timestamp(time: bigint): Timestamp {
  return Timestamp.fromBits(Number(time & 0xffffffffn), Number(time >> 32n));
}
