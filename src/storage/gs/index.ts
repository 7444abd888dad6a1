/** Buckets of Google Cloud Storage as storage: restic's layout, so that restic opens the same repository. */
import type { StorageKind } from '../storage.ts';
import { gsUrlForm, isGsUrl } from './location.ts';
import { resticAccess } from './restic-access.ts';
import { type GsSettings, gsSettings } from './settings.ts';

export const gsStorage: StorageKind<GsSettings> = {
  name: 'gs',
  urlForm: gsUrlForm,
  settings: gsSettings,
  recognises: isGsUrl,
  // Loaded when it is used, as everything behind a network is.
  open: async (url, options) => (await import('./open-bucket.ts')).openBucket(url, options),
  resticAccess,
};
