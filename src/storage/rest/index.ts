/** restic's REST server as storage: what restic opens as rest:http://… */
import type { StorageKind } from '../storage.ts';
import { isRestUrl, urlForm } from './location.ts';
import { resticAccess } from './restic-access.ts';
import { type RestSettings, restSettings } from './settings.ts';

export const restStorage: StorageKind<RestSettings> = {
  name: 'rest',
  urlForm,
  settings: restSettings,
  recognises: isRestUrl,
  // Loaded when it is used, as everything behind a network is.
  open: async (url, options) => (await import('./open-server.ts')).openRest(url, options),
  resticAccess,
};
