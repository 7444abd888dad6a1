/** How a container is written as a repository's URL: restic's form `azure:container:/path`. */
import { HoldfastError } from '../../base/errors.ts';
import { prefixOf } from '../http-service.ts';

export interface AzureLocation {
  readonly container: string;
  /** Before every object's name: empty, or `folder/deeper/`. */
  readonly prefix: string;
}

export const azureUrlForm = 'azure:container:/path';

export function isAzureUrl(url: string): boolean {
  return url.startsWith('azure:');
}

/** `usage.invalid`. */
export function parseAzureUrl(url: string): AzureLocation {
  const match = /^azure:(?!https?:\/\/)([^:/]+)(?::(.*))?$/.exec(url);
  if (!match || !/^(?=.{3,63}$)(?:[a-z0-9]+(?:-[a-z0-9]+)*|\$root)$/.test(match[1])) {
    throw new HoldfastError({
      code: 'usage.invalid',
      message: `${JSON.stringify(url)} is not the URL of a container`,
      remedy: `Write ${azureUrlForm}; account and key are settings (azure: { account, accountKey }) or environment variables.`,
    });
  }
  return { container: match[1], prefix: prefixOf(match[2] ?? '') };
}
