/** Buckets of Amazon S3 and of services that speak like it, as storage: restic's layout, so that restic opens the same repository. */
import type { StorageKind } from '../storage.ts';
import { isS3Url, s3UrlForm } from './location.ts';
import { resticAccess } from './restic-access.ts';
import { type S3Settings, s3Settings } from './settings.ts';

export const s3Storage: StorageKind<S3Settings> = {
  name: 's3',
  urlForm: s3UrlForm,
  settings: s3Settings,
  recognises: isS3Url,
  // Loaded when it is used: signing costs every other command 30 ms and 10 MiB.
  open: async (url, options) => (await import('./open-bucket.ts')).openBucket(url, options),
  resticAccess,
};
