/**
 * One try to copy a database without any lock, with proof that what was read is one committed state. The proof is in the
 * README ("Without a lock"); in short:
 *
 *   WAL mode: the WAL's 32-byte header is read before the main file, and again after main file and WAL were read. If it is
 *   the same, the WAL was not restarted in between, so everything that was written into the main file meanwhile came from
 *   frames of this WAL, and the committed frames, each proven by the running checksum, are laid over what was read.
 *
 *   Rollback mode, or no WAL there: nobody wrote to the main file from before until after it was read (size, times, inode,
 *   header), and no journal with content said before that somebody was in the midst of writing.
 */
import { chmod, type FileHandle, open } from 'node:fs/promises';
import { equalBytes } from '../../../base/bytes.ts';
import type { Host } from '../../../hosts/host.ts';
import { databaseHeaderBytes, parseDatabaseHeader } from '../../../protocols/sqlite/database-header.ts';
import { parseLockTable, sharedLockByte } from '../../../protocols/sqlite/lock-table.ts';
import { walHeaderBytes } from '../../../protocols/sqlite/wal.ts';
import {
  parseWalGeneration,
  type RecoveredWal,
  recoverWal,
  type WalGeneration,
} from '../../../protocols/sqlite/wal-chain.ts';
import { parseWalIndex, walIndexHeadBytes } from '../../../protocols/sqlite/wal-index.ts';
import type { Copied, CopyRequest, Unproven } from './copy-request.ts';
import { printed } from './far-command.ts';
import { fetchFile, headOf, identityOf, lookAt, sameFarIdentity, settleMs, writeFully } from './far-files.ts';

/** Memory: a few MiB, and about 60 bytes for each page the WAL holds. Errors: those of the host's files; `cancelled`. */
export async function copyUnlocked(request: CopyRequest): Promise<Copied | Unproven> {
  const { host, place } = request;
  if (await hasJournal(host, place.realPath)) {
    return { unproven: 'a rollback journal says that a program was writing, or was stopped while it wrote' };
  }
  await using copy = await open(request.copyPath, 'w+', 0o600);
  await chmod(request.copyPath, 0o600);
  const head = await headOf(host, walOf(place.realPath), walHeaderBytes);
  if (head.length < walHeaderBytes) return await copyQuietMain(request, copy);
  const generation = parseWalGeneration(head);
  // torn, because it is just being written; or a crash of the machine left it so
  if (!generation) return { unproven: 'its write-ahead log has no valid header' };
  return await copyWithWal(request, copy, generation);
}

/** A journal whose first byte is not zero may have to be rolled back (pager.c, hasHotJournal). */
async function hasJournal(host: Host, realPath: string): Promise<boolean> {
  const [first] = await headOf(host, `${realPath}-journal`, 1);
  return first !== undefined && first !== 0;
}

function walOf(realPath: string): string {
  return `${realPath}-wal`;
}

async function copyWithWal(
  request: CopyRequest,
  copy: FileHandle,
  generation: WalGeneration,
): Promise<Copied | Unproven> {
  const { host, place, signal } = request;
  // pages behind this end come from the log
  const mainSize = (await lookAt(host, place.realPath))?.size ?? 0;
  const mainBytes = await fetchFile({ host, path: place.realPath, into: copy, limitBytes: mainSize, signal });
  const index = parseWalIndex(await headOf(host, `${place.realPath}-shm`, walIndexHeadBytes));
  // All that the main file can have got is in what there is of the log now; to read on would be a race with its writers.
  const limitBytes = (await lookAt(host, walOf(place.realPath)))?.size ?? 0;
  await using log = await open(request.logPath, 'w+', 0o600);
  await fetchFile({ host, path: walOf(place.realPath), into: log, limitBytes, signal });
  // Only now: a restart while the log was read would have made it look shorter than it was.
  const after = await headOf(host, walOf(place.realPath), walHeaderBytes);
  if (!equalBytes(after, generation.header) || !equalBytes(await firstBytes(log), generation.header)) {
    return { unproven: 'the write-ahead log was restarted while the database was read' };
  }
  const recovered = recoverWal(log.fd, generation);
  // Only to be refused by: what its programs take for committed must be there, or the log is damaged.
  if (index && equalBytes(index.salts, generation.header.subarray(16, 24)) && index.lastFrame > recovered.lastFrame) {
    return { unproven: 'its write-ahead log does not hold what its index says: it is damaged' };
  }
  const { pageBytes } = generation;
  await layOver(copy, log, recovered, pageBytes);
  const sizeBytes = recovered.lastFrame === 0 ? mainBytes : recovered.pageCount * pageBytes;
  await copy.truncate(sizeBytes);
  return await judged(copy, { journal: 'wal', pageBytes, sizeBytes, laidOver: recovered.pages.pages.length });
}

async function layOver(copy: FileHandle, log: FileHandle, { pages }: RecoveredWal, pageBytes: number): Promise<void> {
  const page = Buffer.allocUnsafe(pageBytes);
  for (const [i, number] of pages.pages.entries()) {
    await log.read(page, 0, pageBytes, pages.positions[i]);
    await writeFully(copy, page, (number - 1) * pageBytes);
  }
}

async function firstBytes(log: FileHandle): Promise<Buffer> {
  const head = Buffer.alloc(walHeaderBytes);
  const { bytesRead } = await log.read(head, 0, head.length, 0);
  return head.subarray(0, bytesRead);
}

async function copyQuietMain(request: CopyRequest, copy: FileHandle): Promise<Copied | Unproven> {
  const { host, place, clock, signal } = request;
  const look = async () => {
    const found = await lookAt(host, place.realPath);
    return found && identityOf(found);
  };
  const first = await look();
  if (!first) return { unproven: 'the file was gone for a moment' };
  await clock.sleep(settleMs(first), { signal });
  // After the first look: a writer from now on leaves other times, one before now would have left its journal.
  if (await hasJournal(host, place.realPath)) return { unproven: 'a rollback journal says that a program is writing' };
  if (await isWriteLocked(host, first.inode, signal)) return { unproven: 'a program holds the lock for writing' };
  const header = await headOf(host, place.realPath, databaseHeaderBytes);
  if (!sameFarIdentity(first, await look())) return { unproven: 'it was being written to' };
  const limitBytes = first.size + 1;
  const sizeBytes = await fetchFile({ host, path: place.realPath, into: copy, limitBytes, signal });
  const headerAfter = await headOf(host, place.realPath, databaseHeaderBytes);
  const last = await look();
  if (!sameFarIdentity(first, last) || sizeBytes !== first.size || !header.equals(headerAfter)) {
    return { unproven: 'it was written to while it was read' };
  }
  const log = await headOf(host, walOf(place.realPath), walHeaderBytes);
  if (log.length > 0) return { unproven: 'a program began to write while the database was read' };
  const parsed = parseDatabaseHeader(header);
  const journal = parsed?.journal ?? 'rollback';
  return await judged(copy, { journal, pageBytes: parsed?.pageBytes ?? 4096, sizeBytes, laidOver: 0 });
}

/**
 * Programs that keep their journal in memory, or none, leave no other trace when they pause in the midst of writing than
 * their lock. Where the table of locks or the inode cannot be seen, nobody is taken to hold one.
 */
async function isWriteLocked(host: Host, inode: bigint, signal: AbortSignal): Promise<boolean> {
  if (inode === 0n) return false;
  const table = await printed(host, ['cat', '/proc/locks'], signal);
  const locks = parseLockTable(table ?? '').filter((lock) => lock.inode === inode && lock.kind === 'WRITE');
  return locks.some(({ start, end }) => start <= sharedLockByte && sharedLockByte <= end);
}

/** The copy must say of itself what it was copied as: a database is switched between the modes under nobody's lock of ours. */
async function judged(copy: FileHandle, copied: Copied): Promise<Copied | Unproven> {
  if (copied.sizeBytes === 0) return copied;
  const head = Buffer.alloc(databaseHeaderBytes);
  await copy.read(head, 0, head.length, 0);
  const header = parseDatabaseHeader(head);
  if (header?.journal === copied.journal && header.pageBytes === copied.pageBytes) return copied;
  return { unproven: 'its journal mode or page size was changed while it was read' };
}
