/** Every kind of storage this program knows. */
import { azureStorage } from './azure/index.ts';
import { gsStorage } from './gs/index.ts';
import { localStorage } from './local/index.ts';
import { restStorage } from './rest/index.ts';
import { rcloneStorage } from './rest/rclone/index.ts';
import { s3Storage } from './s3/index.ts';
import { sftpStorage } from './sftp/index.ts';
import type { AnyStorageKind } from './storage.ts';
import { webdavStorage } from './webdav/index.ts';

export const storageKinds: readonly AnyStorageKind[] = [
  localStorage,
  s3Storage,
  sftpStorage,
  restStorage,
  rcloneStorage,
  webdavStorage,
  azureStorage,
  gsStorage,
];
