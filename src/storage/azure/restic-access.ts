import { plainAccess, type ResticAccess, type ResticVariable } from '../restic-access.ts';
import type { AzureSettings } from './settings.ts';

/** restic takes account and key from the environment only. */
export function resticAccess(url: string, { account, sas, endpointSuffix, endpoint }: AzureSettings): ResticAccess {
  const env: ResticVariable[] = [
    { name: 'AZURE_ACCOUNT_NAME', what: 'storage account', ...(account === undefined ? {} : { value: account }) },
    sas
      ? { name: 'AZURE_ACCOUNT_SAS', what: 'shared access signature' }
      : { name: 'AZURE_ACCOUNT_KEY', what: 'key of the storage account' },
    ...(endpointSuffix ? [{ name: 'AZURE_ENDPOINT_SUFFIX', what: 'suffix of the cloud', value: endpointSuffix }] : []),
  ];
  const notes = endpoint ? [`restic knows no other address than account.blob.suffix; Holdfast used ${endpoint}.`] : [];
  return { ...plainAccess(url), env, notes };
}
