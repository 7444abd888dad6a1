/** How a bucket is written as a repository's URL: restic's form `gs:bucket:/path`. */
import { HoldfastError } from '../../base/errors.ts';
import { prefixOf } from '../http-service.ts';

export interface GsLocation {
  readonly bucket: string;
  /** Before every object's name: empty, or `folder/deeper/`. */
  readonly prefix: string;
}

export const gsUrlForm = 'gs:bucket:/path';

export function isGsUrl(url: string): boolean {
  return url.startsWith('gs:');
}

/** `usage.invalid`. */
export function parseGsUrl(url: string): GsLocation {
  const match = /^gs:(?!https?:\/\/)([^:/]+)(?::(.*))?$/.exec(url);
  if (!match || !/^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/.test(match[1])) {
    throw new HoldfastError({
      code: 'usage.invalid',
      message: `${JSON.stringify(url)} is not the URL of a bucket`,
      remedy: `Write ${gsUrlForm}; credentials are settings (gs: { credentials: { file: … } }) or environment variables.`,
    });
  }
  return { bucket: match[1], prefix: prefixOf(match[2] ?? '') };
}
