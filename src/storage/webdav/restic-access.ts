import type { ResticAccess } from '../restic-access.ts';
import { parseWebdavUrl } from './location.ts';
import type { WebdavSettings } from './settings.ts';

const remote = 'RCLONE_CONFIG_HOLDFAST';

/** restic has no WebDAV of its own: rclone speaks it, told by variables what the server is. */
export function resticAccess(url: string, settings: WebdavSettings): ResticAccess {
  const place = parseWebdavUrl(url);
  const user = settings.user ?? place.user;
  const hasPassword = settings.password !== undefined || place.password !== undefined;
  const given = (name: string, value: string) => ({ name: `${remote}_${name}`, value, what: name.toLowerCase() });
  return {
    repository: 'rclone:holdfast:',
    options: [],
    env: [
      ...(hasPassword
        ? [{ name: 'WEBDAV_PASSWORD', what: `password of ${user ?? 'the user'} at the WebDAV server` }]
        : []),
      given('TYPE', 'webdav'),
      given('URL', `${place.protocol}//${place.host}${place.path}`),
      given('VENDOR', 'other'),
      ...(user === undefined ? [] : [given('USER', user)]),
      ...(hasPassword ? [given('PASS', '$(printf %s "$WEBDAV_PASSWORD" | rclone obscure -)')] : []),
      ...(settings.ca === undefined ? [] : [{ name: 'RCLONE_CA_CERT', value: settings.ca, what: 'certificates' }]),
    ],
    notes: ['restic reaches WebDAV servers through rclone (https://rclone.org), which has to be installed, too.'],
  };
}
