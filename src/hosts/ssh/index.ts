/** Machines reached over SSH. Nothing has to be installed there. */
import { parseSshAddress, showAddress } from '../../protocols/ssh/address.ts';
import type { HostKind, HostPlace } from '../host.ts';
import { type SshSettings, sshSettings } from './settings.ts';

export const sshHost: HostKind<SshSettings> = {
  name: 'ssh',
  title: 'SSH',
  settings: sshSettings,
  references: ['jump'],
  place: ({ ssh }) => placeOf(ssh),
  // Loaded when it is used: the protocol costs every other command 50 ms.
  open: async (name, settings, tools) => (await import('./open-host.ts')).openSshHost(name, settings, tools),
};

/** Behind another port there may be another machine. */
function placeOf(ssh: string): HostPlace {
  const address = parseSshAddress(ssh);
  return address === undefined ? {} : { address: showAddress(address) };
}
