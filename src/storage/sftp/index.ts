/** A directory on an SSH server as storage: restic's SFTP layout, so that restic opens the same repository. */
import type { StorageKind } from '../storage.ts';
import { isSftpUrl, urlForm } from './location.ts';
import { resticAccess } from './restic-access.ts';
import { type SftpSettings, sftpSettings } from './settings.ts';

export const sftpStorage: StorageKind<SftpSettings> = {
  name: 'sftp',
  urlForm,
  settings: sftpSettings,
  recognises: isSftpUrl,
  // Loaded when it is used: SSH costs every other command 60 ms and 20 MiB.
  open: async (url, options) => (await import('./open-server.ts')).openSftp(url, options),
  resticAccess,
};
