/**
 * Files on their way to become objects. They lie in one folder of the repository, `~holdfast`, which no object's name can
 * have and restic never lists: one short listing finds what killed processes and lost connections left.
 */
import { randomBytes } from 'node:crypto';
import { type SftpClient, SftpError } from '../../protocols/sftp/client.ts';
import { statuses } from '../../protocols/sftp/packets.ts';
import { hasStatus } from './failures.ts';

export const temporaryFolder = '~holdfast';

/** Who writes for a day on one object is gone. */
const abandonedAfterSeconds = 24 * 3600;

export function temporaryName(): string {
  return `${temporaryFolder}/${randomBytes(12).toString('hex')}`;
}

/** Removes what was not written for 24 hours. `nowSeconds` is the mtime of a file just written: the server's clock. */
export async function sweepTemporaries(sftp: SftpClient, folder: Buffer, nowSeconds: number): Promise<void> {
  for (const { name, attributes } of await sftp.list(folder)) {
    const old = attributes.mtime !== undefined && attributes.mtime < nowSeconds - abandonedAfterSeconds;
    if (old) await removeQuietly(sftp, Buffer.concat([folder, Buffer.from('/'), name]));
  }
}

/** Removes a temporary file if it is there and may be removed; what stays is swept later. */
export async function removeQuietly(sftp: SftpClient, path: Buffer): Promise<void> {
  try {
    await sftp.remove(path);
  } catch (error) {
    if (!(error instanceof SftpError)) throw error;
  }
}

/** Makes a folder; that somebody else made it meanwhile is fine. */
export async function makeFolder(sftp: SftpClient, path: Buffer, mode: number): Promise<void> {
  try {
    await sftp.mkdir(path, mode);
  } catch (error) {
    if (!(error instanceof SftpError)) throw error;
    if (hasStatus(error, statuses.noSuchFile) || !(await isFolder(sftp, path))) throw error;
  }
}

export async function isFolder(sftp: SftpClient, path: Buffer): Promise<boolean> {
  try {
    return ((await sftp.stat(path)).mode ?? 0) >> 12 === 0o04;
  } catch (error) {
    if (hasStatus(error, statuses.noSuchFile)) return false;
    throw error;
  }
}
