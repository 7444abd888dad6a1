/** A directory as storage: restic's local layout, so that restic opens the same repository. */
import type { StorageKind } from '../storage.ts';
import { openLocal } from './local-storage.ts';
import { isLocalUrl, pathOf } from './location.ts';
import { resticAccess } from './restic-access.ts';

export const localStorage: StorageKind = {
  name: 'local',
  urlForm: '/path, ./path, file:///path or local:/path',
  recognises: isLocalUrl,
  open: (url, options) => openLocal(pathOf(url), options),
  resticAccess,
};
