import { shellWord } from '../../base/shell-word.ts';
import type { ResticAccess, ResticVariable } from '../restic-access.ts';
import { parseSftpUrl } from './location.ts';
import type { SftpSettings } from './settings.ts';

/** restic starts ssh, which has to be told what Holdfast takes from the settings. */
export function resticAccess(url: string, settings: SftpSettings): ResticAccess {
  const { address, shown } = parseSftpUrl(url, settings.port);
  const { key, knownHosts, jump, password } = settings;
  const keyFile = key?.from === 'file' ? key.path : '$HOME/recovery/ssh-key';
  const env: ResticVariable[] = key ? [{ name: 'SSH_KEY', what: 'file of the private SSH key', value: keyFile }] : [];
  const words = [
    'ssh',
    ...(address.port === 22 ? [] : [`-p ${address.port}`]),
    ...(key ? ['-i $SSH_KEY', '-o IdentitiesOnly=yes'] : []),
    ...(knownHosts ? [`-o UserKnownHostsFile=${shellWord(knownHosts)}`] : []),
    ...(jump ? [`-J ${shellWord(jump)}`] : []),
    `${shellWord(`${address.user}@${address.host}`)} -s sftp`,
  ];
  const notes = [
    ...(key ? [`The private SSH key has to be there (it was at ${keyFile}), readable by you alone.`] : []),
    ...(password ? ['ssh asks for the password of the server.'] : []),
    'ssh asks whether to trust the server’s host key if it is not known yet.',
  ];
  return { repository: shown, options: [`-o "sftp.command=${words.join(' ')}"`], env, notes };
}
