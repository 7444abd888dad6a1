/** What is wrong with a lock, in words, with what to do about it. */
import { HoldfastError } from '../../base/errors.ts';
import type { Lock } from '../format/lock.ts';
import type { Repository } from '../repository.ts';

export function lockedBy(repository: Repository, lock: Lock): HoldfastError {
  const minutes = Math.max(0, Math.round((repository.clock.nowMs() - lock.timeMs) / 60_000));
  return new HoldfastError({
    code: 'repository.locked',
    message:
      `the repository at ${repository.storage.location} is ${lock.exclusive ? 'exclusively ' : ''}locked by process ` +
      `${lock.pid} of ${lock.username} on ${lock.hostname}, refreshed ${minutes} min ago`,
    remedy:
      'Wait until it is done. If that process is gone for certain: holdfast repo unlock REPOSITORY (a lock is ignored by itself 30 min after its last refresh).',
    retry: 'later',
    context: { pid: lock.pid, hostname: lock.hostname, exclusive: lock.exclusive },
  });
}

export function lockUnseen(repository: Repository): HoldfastError {
  return new HoldfastError({
    code: 'storage.io',
    message: `the lock that was stored in ${repository.storage.location} a moment ago is not there, or not whole`,
    remedy:
      'Nothing was done. Look whether another program removes locks (unlock --all), or the storage says «stored» of what it does not store; then run it again.',
    retry: 'later',
    context: { unseen: true },
  });
}

export function unreadableLock(repository: Repository, id: string, cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'repository.locked',
    message: `lock ${id.slice(0, 16)} of the repository at ${repository.storage.location} cannot be read, so somebody may hold it`,
    remedy:
      'If nobody uses the repository for certain, a crash has left it: holdfast repo unlock REPOSITORY --all removes it.',
    retry: 'later',
    cause,
  });
}

export function lockLost(repository: Repository, cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'repository.lock-lost',
    message: `the lock on ${repository.storage.location} could not be refreshed for 25 minutes`,
    remedy: 'Check the connection to the storage, then run it again: what was stored is kept.',
    retry: 'later',
    cause,
  });
}
