/** Whatever rclone reaches as storage: its REST server, spoken to over its input and output, as restic does. */
import type { StorageKind } from '../../storage.ts';
import { isRcloneUrl, urlForm } from './location.ts';
import { resticAccess } from './restic-access.ts';
import { type RcloneSettings, rcloneSettings } from './settings.ts';

export const rcloneStorage: StorageKind<RcloneSettings> = {
  name: 'rclone',
  urlForm,
  settings: rcloneSettings,
  recognises: isRcloneUrl,
  // Loaded when it is used, as everything behind a network is.
  open: async (url, options) => (await import('./open-remote.ts')).openRemote(url, options),
  resticAccess,
};
