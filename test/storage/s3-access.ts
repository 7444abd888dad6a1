/** Opens S3 storages of the tests' servers. */
import { systemClock } from '../../src/base/clock.ts';
import { openStorage } from '../../src/storage/open.ts';
import { s3Storage } from '../../src/storage/s3/index.ts';
import type { Storage, StorageTools } from '../../src/storage/storage.ts';

export interface Opening {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly create?: boolean;
  readonly settings?: Record<string, unknown>;
  readonly signal?: AbortSignal;
  readonly clock?: StorageTools['clock'];
}

export function openS3(
  url: string,
  { env, create = true, settings = {}, signal, clock = systemClock }: Opening,
): Promise<Storage> {
  return openStorage([s3Storage], url, {
    create,
    settings: s3Storage.settings?.parse(settings),
    tools: {
      clock,
      // No machine of the tests has a role.
      env: { AWS_EC2_METADATA_DISABLED: 'true', ...env },
      signal: signal ?? new AbortController().signal,
      secret: async (reference) => {
        if (reference.from !== 'clear') throw new Error('only secrets in the clear here');
        return reference.secret;
      },
    },
  });
}
