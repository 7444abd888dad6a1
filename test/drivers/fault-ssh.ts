/** What can happen to a machine that is reached over SSH: a real sshd behind a connection that can be cut. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../../src/hosts/host.ts';
import { sshHost } from '../../src/hosts/ssh/index.ts';
import { type Sshd, startSshd } from '../servers/sshd.ts';
import { startTcpProxy } from '../servers/tcp-proxy.ts';
import { fileSecret, tools } from '../support/ssh-hosts.ts';
import { type FaultPlace, processesWith } from './fault-place.ts';
import type { Fault } from './fault-trial.ts';

export interface FarVictim extends AsyncDisposable {
  /** For `hosts:` of a configuration, as `far`. */
  readonly hosts: object;
  connect(): Promise<Host>;
  /** Closes every host that was connected. */
  disconnect(): Promise<void>;
  /** `program` begins or ends the command line of what a backup runs there, if it does. */
  faults(program?: string): Readonly<Record<string, Fault>>;
  /** Programs that run there still. */
  programs(): string[];
}

/** Its programs take the place's folder of temporary files for theirs. */
export async function startFarSshd(place: FaultPlace): Promise<Sshd> {
  return await startSshd({ config: [`SetEnv TMPDIR=${place.temporary} SHLVL=2`] });
}

export async function openFarVictim(sshd: Sshd): Promise<FarVictim> {
  const proxy = await startTcpProxy(sshd.port);
  const hosts: Host[] = [];
  const { user, key, hostKey, folder } = sshd;
  const authorized = join(folder, 'authorized');
  const keys = readFileSync(join(folder, 'user.pub'));
  writeFileSync(authorized, keys);
  const address = `${user}@127.0.0.1:${proxy.port}`;
  const running = (): [number, string][] =>
    [...processesWith(` 127.0.0.1 ${sshd.port}\0`)].filter(([, line]) => !line.includes('sshd'));
  const disconnect = async (): Promise<void> => {
    for (const host of hosts.splice(0)) await host.close();
  };
  return {
    disconnect,
    hosts: { far: { ssh: address, key: { file: key }, hostKey } },
    async connect() {
      const settings = sshHost.settings.parse({ ssh: address, key: fileSecret(key), hostKey });
      const host = await sshHost.open('far', settings, tools());
      hosts.push(host);
      return host;
    },
    faults: (program) => ({
      'a connection that is cut': { strike: () => proxy.cut() },
      'an sshd that is killed': { strike: () => sshd.serving().forEach(kill) },
      'a key that may not sign in': { when: 'before', strike: () => writeFileSync(authorized, '') },
      ...(program === undefined ? {} : { [`${program} killed there`]: { strike: () => killAll(running(), program) } }),
    }),
    programs: () => running().map(([id, line]) => `${id} there: ${line}`),
    async [Symbol.asyncDispose]() {
      writeFileSync(authorized, keys);
      await disconnect();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

function killAll(running: readonly [number, string][], program: string): void {
  for (const [id, line] of running) if (line.startsWith(program) || line.endsWith(program)) kill(id);
}

function kill(id: number): void {
  try {
    process.kill(id, 'SIGKILL');
  } catch {
    // ended meanwhile
  }
}
