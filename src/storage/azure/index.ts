/** Containers of Azure Blob Storage as storage: restic's layout, so that restic opens the same repository. */
import type { StorageKind } from '../storage.ts';
import { azureUrlForm, isAzureUrl } from './location.ts';
import { resticAccess } from './restic-access.ts';
import { type AzureSettings, azureSettings } from './settings.ts';

export const azureStorage: StorageKind<AzureSettings> = {
  name: 'azure',
  urlForm: azureUrlForm,
  settings: azureSettings,
  recognises: isAzureUrl,
  // Loaded when it is used, as everything behind a network is.
  open: async (url, options) => (await import('./open-container.ts')).openContainer(url, options),
  resticAccess,
};
