/** Walks a folder of the repository. */
import type { SftpClient } from '../../protocols/sftp/client.ts';
import { type SftpName, statuses } from '../../protocols/sftp/packets.ts';
import { isObjectName } from '../object-name.ts';
import type { StoredObject } from '../storage.ts';
import { hasStatus } from './failures.ts';

export interface FolderEntries {
  readonly objects: readonly StoredObject[];
  readonly folders: readonly string[];
}

const types = { folder: 0o04, file: 0o10, link: 0o12 };

/**
 * What is in one folder; `undefined` if there is none. Temporary files, and whatever else has a name no object can have,
 * are left out. Symbolic links are followed. Memory: one folder.
 */
export async function entriesOf(sftp: SftpClient, path: Buffer, folder: string): Promise<FolderEntries | undefined> {
  const found = await namesIn(sftp, path);
  if (!found) return undefined;
  const objects: StoredObject[] = [];
  const folders: string[] = [];
  for (const entry of found) {
    const name = `${folder}/${entry.name.toString('utf8')}`;
    if (!isObjectName(name)) continue;
    const { size, mode } = await attributesOf(sftp, path, entry);
    const type = (mode ?? 0) >> 12;
    if (type === types.folder) folders.push(name);
    else if (type === types.file && size !== undefined) objects.push({ name, sizeBytes: Number(size) });
  }
  return { objects, folders };
}

async function namesIn(sftp: SftpClient, path: Buffer): Promise<SftpName[] | undefined> {
  try {
    return await sftp.list(path);
  } catch (error) {
    if (hasStatus(error, statuses.noSuchFile)) return undefined;
    throw error;
  }
}

/** The listing has them, but of a link those of the link, and of some servers none. */
async function attributesOf(sftp: SftpClient, path: Buffer, { name, attributes }: SftpName) {
  const { mode, size } = attributes;
  if (mode !== undefined && size !== undefined && mode >> 12 !== types.link) return attributes;
  try {
    return await sftp.stat(Buffer.concat([path, Buffer.from('/'), name]));
  } catch (error) {
    if (hasStatus(error, statuses.noSuchFile)) return {}; // gone meanwhile
    throw error;
  }
}
