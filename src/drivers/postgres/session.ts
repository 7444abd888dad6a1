/** One connection to a database, with everything that changes how values are written set alike everywhere. */
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import pg from 'pg';
import { HoldfastError, throwIfCancelled } from '../../base/errors.ts';
import { whileOpening } from '../opening.ts';
import { explain } from './failures.ts';
import { addressOf, type Place, placeOf, type Source } from './place.ts';
import { openStream } from './secure.ts';

export type Row = readonly (string | null)[];

/** Texts of values must not depend on the server's, the role's or the database's own settings. */
const fixedSettings = [
  "SET application_name = 'holdfast'",
  "SET client_encoding = 'UTF8'",
  "SET datestyle = 'ISO, YMD'",
  "SET intervalstyle = 'postgres'",
  "SET timezone = 'UTC'",
  "SET bytea_output = 'hex'",
  "SET lc_monetary = 'C'",
  "SET xmlbinary = 'base64'",
  "SET xmloption = 'content'",
  'SET extra_float_digits = 3',
  'SET row_security = off',
  'SET jit = off',
  'SET quote_all_identifiers = off',
  'SET statement_timeout = 0',
  'SET idle_in_transaction_session_timeout = 0',
  "SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name IN ('transaction_timeout', 'idle_session_timeout')",
  // Else a query goes on for nobody when this machine is gone. From 14 on; other systems than Linux may not have it.
  "SELECT pg_catalog.set_config(name, '2000', false) FROM pg_catalog.pg_settings WHERE name = 'client_connection_check_interval' AND pg_catalog.version() ~ 'linux'",
  "SELECT pg_catalog.set_config('search_path', '', false)",
].join(';');

/** Oldest server whose rows can be hashed as the fingerprint does, and that is still met. */
export const oldestMajor = 12;
export const newestMajor = 18;

export class Session implements AsyncDisposable {
  readonly place: Place;
  readonly database: string;
  readonly #client: pg.Client;
  readonly #stream: Duplex;
  readonly #source: Source;
  #failure: unknown;
  #running = 0;
  #closed = false;
  readonly #stop = (): void => void this[Symbol.asyncDispose]();

  constructor(source: Source, parts: { place: Place; database: string; client: pg.Client; stream: Duplex }) {
    this.#source = source;
    this.place = parts.place;
    this.database = parts.database;
    this.#client = parts.client;
    this.#stream = parts.stream;
    this.#client.on('error', (error: unknown) => {
      this.#failure ??= error;
    });
    source.signal.addEventListener('abort', this.#stop, { once: true });
  }

  /** Rows of the (last) statement as texts. */
  async query(sql: string, values?: readonly (string | number | readonly string[])[]): Promise<readonly Row[]> {
    throwIfCancelled(this.#source.signal);
    this.#running++;
    try {
      const types = { getTypeParser: () => (text: string) => text };
      const result: unknown = await this.#client.query({
        text: sql,
        values: values && [...values],
        rowMode: 'array',
        types,
      } as never);
      const last = (Array.isArray(result) ? result.at(-1) : result) as { rows: Row[] } | undefined;
      return last?.rows ?? [];
    } catch (error) {
      throwIfCancelled(this.#source.signal);
      throw explain(this.#failure ?? error, `read ${this.database} at ${this.place.title}`);
    } finally {
      this.#running--;
    }
  }

  /** The first column of the first row. */
  async value(sql: string, values?: readonly (string | number)[]): Promise<string> {
    const [row] = await this.query(sql, values);
    return row?.[0] ?? '';
  }

  /** Ends it; a query under way is cancelled at the server, which would not notice that nobody reads any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#source.signal.removeEventListener('abort', this.#stop);
    if (this.#running > 0) await this.#cancel();
    else await this.#goodbye();
    this.#stream.destroy();
  }

  /** The server has ended the session when it closes the connection: afterwards it holds nothing any more. */
  async #goodbye(): Promise<void> {
    if (this.#stream.destroyed || this.#failure !== undefined) return;
    const closed = once(this.#stream, 'close').catch(() => undefined);
    const patience = this.#source.clock.sleep(2000, { background: true });
    void this.#client.end().catch(() => undefined);
    await Promise.race([closed, patience]);
  }

  /** PostgreSQL documentation 55.7, CancelRequest: never encrypted, answered by closing the connection. */
  async #cancel(): Promise<void> {
    const { processID, secretKey } = this.#client as unknown as { processID: number | null; secretKey: number | null };
    if (processID === null || secretKey === null) return;
    const request = Buffer.alloc(16);
    request.writeInt32BE(16, 0);
    request.writeInt32BE(80877102, 4);
    request.writeInt32BE(processID, 8);
    request.writeInt32BE(secretKey, 12);
    try {
      const stream = await this.#source.host.connect(addressOf(this.place));
      stream.on('error', () => stream.destroy());
      const closed = once(stream, 'close').catch(() => undefined);
      stream.resume();
      stream.write(request);
      await Promise.race([closed, this.#source.clock.sleep(2000, { background: true })]);
      stream.destroy();
    } catch {
      // The server cannot be reached: then there is nothing to cancel, or no way to.
    }
  }
}

/** Connects and checks the version. `host.unreachable`, `source.missing`, `source.unreadable`, `source.unsupported`. */
export async function openSession(source: Source, database?: string): Promise<Session> {
  const place = placeOf(source.settings);
  const name = database ?? place.database;
  const doing = `connect to ${name} at ${place.title}`;
  const stream = await openStream(source, place);
  // A server that crashes closes its half and says nothing: without ours closed, too, a query would wait for ever.
  stream.once('end', () => stream.destroy());
  const { settings } = source;
  try {
    const password =
      settings.password && (await source.secret(settings.password, `the source ${source.name}`)).reveal();
    const client = new pg.Client({
      user: place.user,
      database: name,
      // `pg` looks for passwords in the environment and in files only if there is none
      password: password ?? (() => ''),
      stream: () => connected(stream),
      ssl: false,
      host: place.host,
      port: place.port,
    });
    const session = new Session(source, { place, database: name, client, stream });
    try {
      await whileOpening(source, { stream, title: place.title }, () => client.connect());
      await session.query(fixedSettings);
      return session;
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw error;
    }
  } catch (error) {
    stream.destroy();
    throwIfCancelled(source.signal);
    throw explain(error, doing);
  }
}

/** A stream that is connected already, as `pg` expects one that is not. */
function connected(stream: Duplex): never {
  const socket = Object.assign(stream, {
    setNoDelay: () => socket,
    setKeepAlive: () => socket,
    ref: () => socket,
    unref: () => socket,
    connect: () => {
      queueMicrotask(() => stream.emit('connect'));
      return socket;
    },
  });
  return socket as never;
}

/** The server's version as a number (150018) and as it says itself (`15.18 (Debian …)`). */
export async function serverVersion(session: Session): Promise<{ number: number; major: number; text: string }> {
  const [[number, text] = []] = await session.query(
    "SELECT current_setting('server_version_num'), current_setting('server_version')",
  );
  const major = Math.floor(Number(number) / 10_000);
  if (major >= oldestMajor) return { number: Number(number), major, text: text ?? '' };
  throw new HoldfastError({
    code: 'source.unsupported',
    message: `the server is PostgreSQL ${text}, and ${oldestMajor} is the oldest that is supported`,
    remedy: 'Upgrade the server: this version gets no security updates any more.',
  });
}
