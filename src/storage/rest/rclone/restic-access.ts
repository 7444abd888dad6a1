import { shellWord } from '../../../base/shell-word.ts';
import type { ResticAccess, ResticVariable } from '../../restic-access.ts';
import type { RcloneSettings } from './settings.ts';

export function resticAccess(url: string, settings: RcloneSettings): ResticAccess {
  const { program, config, configPassword, env = {}, secrets = {} } = settings;
  const variables: ResticVariable[] = [
    ...Object.keys(secrets).map((name) => ({ name, what: `secret for rclone, ${name}` })),
    ...(configPassword ? [{ name: 'RCLONE_CONFIG_PASS', what: 'password of rclone’s configuration' }] : []),
    ...Object.entries(env).map(([name, value]) => ({ name, value, what: 'setting of rclone' })),
    ...(config === undefined ? [] : [{ name: 'RCLONE_CONFIG', value: config, what: 'rclone’s configuration' }]),
  ];
  return {
    repository: url,
    options: program === 'rclone' ? [] : [`-o ${shellWord(`rclone.program=${program}`)}`],
    env: variables,
    notes: ['rclone has to be installed, and its configuration has to hold the remote of the address (rclone config).'],
  };
}
