/** Machines reached over SSH. Nothing has to be installed there. */
import type { HostKind } from '../host.ts';
import { type SshSettings, sshSettings } from './settings.ts';

export const sshHost: HostKind<SshSettings> = {
  name: 'ssh',
  title: 'SSH',
  settings: sshSettings,
  references: ['jump'],
  // Loaded when it is used: the protocol costs every other command 50 ms.
  open: async (name, settings, tools) => (await import('./open-host.ts')).openSshHost(name, settings, tools),
};
