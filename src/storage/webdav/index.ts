/** A folder on a WebDAV server as storage: restic's layout, as in a directory. */
import type { StorageKind } from '../storage.ts';
import { isWebdavUrl, urlForm } from './location.ts';
import { resticAccess } from './restic-access.ts';
import { type WebdavSettings, webdavSettings } from './settings.ts';

export const webdavStorage: StorageKind<WebdavSettings> = {
  name: 'webdav',
  urlForm,
  settings: webdavSettings,
  recognises: isWebdavUrl,
  // Loaded when it is used, as everything behind a network is.
  open: async (url, options) => (await import('./open-folder.ts')).openWebdav(url, options),
  resticAccess,
};
