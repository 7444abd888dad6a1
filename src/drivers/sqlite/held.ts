/** A database in one consistent state that stays as it is until it is disposed. */
import type { ByteStream } from '../entries.ts';
import type { Fingerprinted } from './messages.ts';

export interface Held extends AsyncDisposable {
  readonly pageBytes: number;
  readonly sizeBytes: number;
  /** The state's bytes from the start; may be asked for more than once. */
  stream(): ByteStream | Promise<ByteStream>;
  /** Taken from this very state; absent when switched off. Never an unhandled rejection. */
  readonly fingerprint?: Promise<Fingerprinted>;
  /** For `.holdfast/source.json`. */
  readonly facts: Readonly<Record<string, string | number | boolean>>;
  readonly notes: readonly string[];
  /** Throws unless the state was held without a gap until now; lets go of it. */
  complete(): Promise<void>;
}

/** A state of which a file can be made faster than by reading its stream. */
export interface Copyable extends Held {
  /** Makes the new file `path`. Not flushed. */
  copyTo(path: string): Promise<void>;
}
