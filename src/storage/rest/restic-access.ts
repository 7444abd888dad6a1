import { shellWord } from '../../base/shell-word.ts';
import type { ResticAccess } from '../restic-access.ts';
import { parseRestUrl } from './location.ts';
import type { RestSettings } from './settings.ts';

/** User and password stand in the URL: older versions of restic know no other way. It is in a variable, not on a command line. */
export function resticAccess(url: string, settings: RestSettings): ResticAccess {
  const place = parseRestUrl(url);
  const user = settings.user ?? place.user;
  const hasPassword = settings.password !== undefined || place.password !== undefined;
  const name = user === undefined ? '' : encodeURIComponent(user);
  const signIn = name === '' ? '' : `${name}${hasPassword ? ':$REST_PASSWORD' : ''}@`;
  return {
    repository: `rest:${place.protocol}//${signIn}${place.host}${place.path}`,
    options: settings.ca === undefined ? [] : [`--cacert ${shellWord(settings.ca)}`],
    env: hasPassword
      ? [
          {
            name: 'REST_PASSWORD',
            what: `password of ${user ?? 'the user'} at the REST server; special characters percent-encoded`,
          },
        ]
      : [],
    notes: [],
  };
}
