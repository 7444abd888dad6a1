/** Lock files (restic design.rst, "Locks"). */
import { formatInstant } from '../../base/clock.ts';
import { goTimeNs } from './go-time.ts';
import { countOf, parseObject, textOf } from './malformed.ts';

export interface Lock {
  readonly timeMs: number;
  readonly exclusive: boolean;
  readonly hostname: string;
  readonly username: string;
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export function encodeLock(lock: Lock): Uint8Array {
  const { timeMs, exclusive, hostname, username, pid, uid, gid } = lock;
  const owner = { ...(uid === 0 ? {} : { uid }), ...(gid === 0 ? {} : { gid }) };
  return Buffer.from(JSON.stringify({ time: formatInstant(timeMs), exclusive, hostname, username, pid, ...owner }));
}

export function decodeLock(bytes: Uint8Array): Lock {
  const json = parseObject(bytes, 'a lock');
  return {
    timeMs: Number(goTimeNs(textOf(json.time, 'a lock’s time'), 'a lock’s time') / 1_000_000n),
    exclusive: json.exclusive === true,
    hostname: textOf(json.hostname, 'a lock’s host', ''),
    username: textOf(json.username, 'a lock’s user', ''),
    pid: countOf(json.pid, 'a lock’s process', { absent: 0 }),
    uid: countOf(json.uid, 'a lock’s uid', { absent: 0 }),
    gid: countOf(json.gid, 'a lock’s gid', { absent: 0 }),
  };
}
