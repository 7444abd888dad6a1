/** A copy of a database of another host into a private directory of this machine. */
import type { Clock } from '../../../base/clock.ts';
import type { Host } from '../../../hosts/host.ts';
import type { Place } from '../place.ts';

export interface CopyRequest {
  readonly host: Host;
  readonly place: Place;
  /** A new file: the database. */
  readonly copyPath: string;
  /** A new file: a copy of the write-ahead log, laid over the database and of no use afterwards. */
  readonly logPath: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export interface Copied {
  readonly journal: 'wal' | 'rollback';
  readonly pageBytes: number;
  readonly sizeBytes: number;
  /** Pages that came from the write-ahead log. */
  readonly laidOver: number;
}

/** What was read cannot be shown to be one state, and why. Another try may do. */
export interface Unproven {
  readonly unproven: string;
}
