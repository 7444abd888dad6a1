/** How a place rclone reaches is written: restic's form `rclone:remote:path`. */
import { HoldfastError } from '../../../base/errors.ts';

export const urlForm = 'rclone:remote:path';

/** Parameters of a remote that is written out (`:sftp,pass=…:path`) and would be a secret in the list of processes. */
const secretParameter = /,[^,=:]*(?:pass|secret|token|key|sas|credential|auth)[^,=:]*=/i;

export function isRcloneUrl(url: string): boolean {
  return url.startsWith('rclone:');
}

/** What rclone is told: a remote and a path. `usage.invalid`; secrets do not belong into it. */
export function parseRcloneUrl(url: string): string {
  const remote = url.slice('rclone:'.length);
  if (remote === '' || remote.includes('\0')) throw invalid('names no remote', `Write ${urlForm}.`);
  if (secretParameter.test(remote) || /:\/\/[^/@]*:[^/@]*@/.test(remote)) {
    const remedy =
      'Others can see the arguments of programs: make a remote of it (rclone config), or give the value under rclone.secrets.';
    throw invalid('has a secret in it', remedy);
  }
  return remote;
}

function invalid(why: string, remedy: string): HoldfastError {
  return new HoldfastError({ code: 'usage.invalid', message: `the URL that begins with rclone: ${why}`, remedy });
}
