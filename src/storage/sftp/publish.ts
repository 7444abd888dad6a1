/** The last step of a put: a complete, flushed file gets its name. */
import { type SftpClient, SftpError } from '../../protocols/sftp/client.ts';
import { statuses } from '../../protocols/sftp/packets.ts';
import { hasStatus } from './failures.ts';

export type Published = 'published' | 'exists';

/**
 * Gives the file at `temporary` the name `final` unless something has it. A hard link is what the kernel of the server
 * refuses if the name is taken. Where there are no hard links it is SFTP's own rename, which must fail if the name is taken
 * (draft-ietf-secsh-filexfer-02, 6.5); OpenSSH then looks first and renames after, with a moment in between. The temporary
 * name may still be there afterwards.
 */
export async function publishNew(sftp: SftpClient, temporary: Buffer, final: Buffer): Promise<Published> {
  if (sftp.offers('hardlink@openssh.com')) {
    try {
      await sftp.hardlink(temporary, final);
      return 'published';
    } catch (error) {
      if (!(error instanceof SftpError) || hasStatus(error, statuses.noSuchFile)) throw error;
      if (await isThere(sftp, final)) return 'exists';
    }
  }
  return (await renameNew(sftp, temporary, final)) ? 'published' : 'exists';
}

/** In one step, where the server can; `exists` if it cannot replace and something is there. */
export async function publishOver(sftp: SftpClient, temporary: Buffer, final: Buffer): Promise<Published> {
  if (!sftp.offers('posix-rename@openssh.com')) {
    return (await renameNew(sftp, temporary, final)) ? 'published' : 'exists';
  }
  await sftp.rename(temporary, final);
  return 'published';
}

/** False if something has the name. */
async function renameNew(sftp: SftpClient, temporary: Buffer, final: Buffer): Promise<boolean> {
  try {
    await sftp.renameNew(temporary, final);
    return true;
  } catch (error) {
    if (!(error instanceof SftpError) || hasStatus(error, statuses.noSuchFile)) throw error;
    if (await isThere(sftp, final)) return false;
    throw error;
  }
}

export async function isThere(sftp: SftpClient, path: Buffer): Promise<boolean> {
  try {
    await sftp.lstat(path);
    return true;
  } catch (error) {
    if (hasStatus(error, statuses.noSuchFile)) return false;
    throw error;
  }
}
