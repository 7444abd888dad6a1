/** A connection to a server: signs in, asks, reads rows as the raw bytes the server sent. */
import { readFile } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import mysql from 'mysql2';
import { cancelled, HoldfastError, reasonOf } from '../../base/errors.ts';
import type { SecretReference } from '../../base/secret-reference.ts';
import type { Host } from '../../hosts/host.ts';
import type { SourceContext } from '../driver.ts';
import { definitionText } from './definition-text.ts';
import { explainRefusal } from './failures.ts';
import { type ByteTaker, ResultTaker } from './result-taker.ts';
import type { TakeRows } from './row-packets.ts';
import { type Place, placeOf, type Settings } from './settings.ts';

export type Row = Readonly<Record<string, string | null>>;

/** What of mysql2's connection its declarations leave out. */
interface Connection {
  readonly threadId: number;
  /** Looked up for every chunk that arrives. */
  packetParser: ByteTaker;
  /** The number the next packet must have. */
  sequenceId: number;
  pause(): void;
  resume(): void;
  destroy(): void;
  end(done: (error: unknown) => void): void;
  on(event: 'error', listener: (error: unknown) => void): void;
  once(event: 'connect', listener: () => void): void;
  query(options: object, done: (error: unknown, rows: unknown) => void): void;
}

export interface SessionOptions {
  readonly host: Host;
  readonly place: Place;
  readonly password?: string;
  readonly tls?: Settings['tls'];
  readonly signal: AbortSignal;
}

/** One statement at a time. Every pending call rejects once the connection is lost, closed or cancelled. */
export class Session implements AsyncDisposable {
  readonly place: Place;
  readonly #connection: Connection;
  readonly #signal: AbortSignal;
  readonly #closed: Promise<unknown>;
  readonly #abort = (): void => this.#fail(reasonOf(this.#signal));
  readonly #pending = new Set<(error: unknown) => void>();
  #failure: unknown;
  #busy = false;

  constructor(connection: Connection, stream: Duplex, place: Place, signal: AbortSignal) {
    this.#connection = connection;
    // A server that ends the conversation has gone, also where a stream could stay half open.
    stream.once('end', () => stream.destroy());
    this.#closed = new Promise((resolve) => stream.once('close', resolve));
    this.place = place;
    this.#signal = signal;
    connection.on('error', (error) => this.#fail(explainRefusal(error, place)));
    signal.addEventListener('abort', this.#abort, { once: true });
  }

  /** The number the server knows this connection by. */
  get threadId(): number {
    return this.#connection.threadId;
  }

  async signedIn(): Promise<void> {
    await this.#call<void>((resolve) => this.#connection.once('connect', () => resolve()));
  }

  /** Rows by column name, every value as text. */
  async rows(sql: string): Promise<Row[]> {
    const found = await this.#ask(sql);
    return Array.isArray(found) ? (found as Row[]) : [];
  }

  /** The first row; `undefined` if there is none. */
  async row(sql: string): Promise<Row | undefined> {
    return (await this.rows(sql))[0];
  }

  async run(...statements: readonly (string | Buffer)[]): Promise<void> {
    for (const sql of statements) await this.#ask(sql);
  }

  /** Rows as lists of texts, for queries whose columns nobody knows. */
  async table(sql: string): Promise<(string | null)[][]> {
    const found = await this.#ask(sql, { rowsAsArray: true });
    return Array.isArray(found) ? (found as (string | null)[][]) : [];
  }

  /** Hands rows to `take` as they come; resolves when the server said that was all. */
  async raw(sql: string, take: TakeRows): Promise<void> {
    const connection = this.#connection;
    const parser = connection.packetParser;
    await this.#call((resolve, reject) => {
      connection.query({ sql }, (error) => (error ? reject(error) : resolve(undefined)));
      const taker = new ResultTaker(parser, take, (number) => {
        connection.packetParser = parser;
        if (number !== undefined) connection.sequenceId = number;
      });
      connection.packetParser = {
        execute: (chunk) => {
          try {
            taker.execute(chunk);
          } catch (error) {
            this.#fail(error);
          }
        },
      };
    });
  }

  pause(): void {
    this.#connection.pause();
  }

  resume(): void {
    if (this.#failure === undefined) this.#connection.resume();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const idle = !this.#busy && this.#failure === undefined;
    // A farewell lets the server end the session at once; one that still sends rows is cut.
    if (idle) await Promise.race([this.#closed, new Promise((resolve) => this.#connection.end(resolve))]);
    this.#fail(cancelled());
  }

  async #ask(sql: string | Buffer, options: object = {}): Promise<unknown> {
    try {
      return await this.#call((resolve, reject) => {
        this.#connection.query({ sql, ...options }, (error, rows) => (error ? reject(error) : resolve(rows)));
      });
    } catch (error) {
      throw this.#signal.aborted ? reasonOf(this.#signal) : error;
    }
  }

  async #call<T>(start: (resolve: (value: T) => void, reject: (error: unknown) => void) => void): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure;
    this.#busy = true;
    let rejecter: ((error: unknown) => void) | undefined;
    try {
      return await new Promise<T>((resolve, reject) => {
        rejecter = reject;
        this.#pending.add(reject);
        start(resolve, (error) => reject(isServerError(error) ? error : explainRefusal(error, this.place)));
      });
    } finally {
      this.#busy = false;
      if (rejecter) this.#pending.delete(rejecter);
    }
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#signal.removeEventListener('abort', this.#abort);
    this.#connection.destroy();
    for (const reject of this.#pending) reject(error);
  }
}

/** What the server answered to a statement, as opposed to a connection that broke. */
export interface ServerError extends Error {
  readonly errno: number;
  readonly sqlState: string;
}

export function isServerError(error: unknown): error is ServerError {
  return error instanceof Error && 'errno' in error && 'sqlState' in error && !('fatal' in error && error.fatal);
}

/** Signed in with the settings of a source. `host.unreachable`, `source.unreadable`, `secret.unavailable`. */
export async function openSession(source: SourceContext<Settings>, place?: Place): Promise<Session> {
  return await openSessionAt({
    host: source.host,
    place: place ?? placeOf(source.settings),
    password: await readPassword(source, source.settings.password),
    tls: source.settings.tls,
    signal: source.signal,
  });
}

async function readPassword(
  source: SourceContext<Settings>,
  reference: SecretReference | undefined,
): Promise<string | undefined> {
  return reference && (await source.secret(reference, `source ${source.name}`)).reveal();
}

export async function openSessionAt({ host, place, password, tls, signal }: SessionOptions): Promise<Session> {
  const stream = await host.connect(place.address, signal);
  try {
    const connection = mysql.createConnection({
      stream,
      user: place.user,
      ...(password !== undefined && { password }),
      host: tls?.serverName ?? place.hostName,
      // Never opened: it tells mysql2 that nobody listens, so that a password may go as it is (caching_sha2_password).
      ...('socketPath' in place.address && { socketPath: place.address.socketPath }),
      ...(tls && tls.mode !== 'off' && { ssl: await tlsOptions(tls) }),
      charset: 'utf8mb4',
      typeCast: textOf,
      flags: ['-LOCAL_FILES'],
      connectTimeout: 30_000,
    } as mysql.ConnectionOptions) as unknown as Connection;
    const session = new Session(connection, stream, place, signal);
    await session.signedIn();
    return session;
  } catch (error) {
    stream.destroy();
    throw signal.aborted ? reasonOf(signal) : explainRefusal(error, place);
  }
}

/** Of mysql2: a value that arrives. */
interface Field {
  readonly name: string;
  string(): string | null;
  buffer(): Buffer | null;
}

/** Every value as the text the server sent. */
function textOf(field: Field): string | null {
  if (field.name !== 'Create Table') return field.string();
  const bytes = field.buffer();
  return bytes && definitionText(bytes);
}

async function tlsOptions(tls: NonNullable<Settings['tls']>): Promise<mysql.SslOptions> {
  const read = async (path: string | undefined) => (path === undefined ? undefined : await readFile(path, 'utf8'));
  const [ca, cert, key] = await Promise.all([read(tls.ca), read(tls.certificate), read(tls.key)]);
  const verify = tls.mode === 'verify';
  return { ca, cert, key, rejectUnauthorized: verify, verifyIdentity: verify } as mysql.SslOptions;
}

/** The one row a statement must give. */
export async function oneRow(session: Session, sql: string): Promise<Row> {
  const row = await session.row(sql);
  if (row) return row;
  throw new HoldfastError({
    code: 'source.unreadable',
    message: `${session.place.title} gave no answer to ${sql}`,
    remedy: 'Check the privileges of the user, and the log of the server.',
  });
}
