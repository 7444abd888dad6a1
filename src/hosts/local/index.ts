/** This machine as a host. */
import { hostname } from 'node:os';
import { type Clock, systemClock } from '../../base/clock.ts';
import { connectLocally } from '../../protocols/connect-locally.ts';
import type { Host } from '../host.ts';
import { readAccounts } from './accounts.ts';
import { localFiles } from './files.ts';
import { openLocalTarget } from './restore-target.ts';
import { runLocally } from './run.ts';
import { loadSyscalls, missingAbilities, type Syscalls } from './syscalls.ts';

/** `syscalls` can be withheld (`{}`) to get what a machine without koffi offers. */
export function localHost(options: { clock?: Clock; syscalls?: Syscalls } = {}): Host {
  const { clock = systemClock, syscalls = loadSyscalls() } = options;
  return {
    name: 'local',
    kind: 'local',
    hostname: hostname(),
    files: localFiles(syscalls, readAccounts()),
    limits: missingAbilities(syscalls),
    openTarget: async (directory, existing) => openLocalTarget(directory, existing, syscalls),
    run: (command) => runLocally(command, clock),
    connect: connectLocally,
    ...(syscalls.copyRange && { copyRange: syscalls.copyRange }),
    close: async () => {},
  };
}
