/** Lock files (restic design.rst, "Locks"). */
import { formatLocalInstant } from '../../base/clock.ts';
import { goJson } from './go-json.ts';
import { goTimeNs, goTimeText } from './go-time.ts';
import { JsonReader } from './json-reader.ts';

export interface Lock {
  readonly timeMs: number;
  /** The time as it was stored, to the nanosecond; written again only where it is the millisecond `timeMs`. */
  readonly time?: string;
  readonly exclusive: boolean;
  readonly hostname: string;
  readonly username: string;
  readonly pid: number;
  /** 0 on systems without. */
  readonly uid: number;
  readonly gid: number;
}

const what = 'a lock';

export function encodeLock({ timeMs, time, exclusive, hostname, username, pid, uid, gid }: Lock): Uint8Array {
  const stored = time !== undefined && millisecondsOf(time) === timeMs ? time : formatLocalInstant(timeMs);
  const owner = { ...(uid === 0 ? {} : { uid }), ...(gid === 0 ? {} : { gid }) };
  return Buffer.from(goJson({ time: goTimeText(stored), exclusive, hostname, username, pid, ...owner }));
}

/** `repository.damaged` if it is not a lock. */
export function decodeLock(bytes: Uint8Array): Lock {
  const lock = { exclusive: false, hostname: '', username: '', pid: 0, uid: 0, gid: 0 };
  let time = '';
  const reader = new JsonReader(bytes, what);
  const fields = new Map<string, () => unknown>([
    ['time', () => (time = reader.text())],
    ['exclusive', () => (lock.exclusive = reader.flag())],
    ['hostname', () => (lock.hostname = reader.text())],
    ['username', () => (lock.username = reader.text())],
    ['pid', () => (lock.pid = reader.count())],
    ['uid', () => (lock.uid = reader.count())],
    ['gid', () => (lock.gid = reader.count())],
  ]);
  reader.object((name) => (fields.get(name) ?? (() => reader.other()))());
  reader.end();
  return { timeMs: millisecondsOf(time), time, ...lock };
}

function millisecondsOf(time: string): number {
  return Number(goTimeNs(time, what) / 1_000_000n);
}
