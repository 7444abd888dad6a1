/** Commands, here and on another host, under faults of every kind; FAULTS says how many. */
import { command } from '../../src/drivers/command/index.ts';
import { unattended } from '../../src/drivers/conformance/context.ts';
import type { Host } from '../../src/hosts/host.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import type { Sshd } from '../servers/sshd.ts';
import { endProcess } from '../support/end-process.ts';
import { processesWith } from './fault-place.ts';
import { openFarVictim, startFarSshd } from './fault-ssh.ts';
import { describeFaults } from './fault-trial.ts';

const mark = 'holdfast-attacked';
/** Two megabytes, a little at a time. */
const argv = ['sh', '-c', 'for i in $(seq 50); do head -c 40000 /dev/urandom; sleep 0.02; done', mark];
const sourceAt = (host: Host) =>
  unattended({ name: 'trial', settings: command.settings.parse({ command: argv }), host, local: localHost() });

describeFaults({
  title: 'a command',
  driver: command,
  open: async () => ({
    source: async () => sourceAt(localHost()),
    declared: { source: { command: argv } },
    faults: { 'the program killed': { strike: killMarked } },
    leftovers: async () => [],
    async [Symbol.asyncDispose]() {},
  }),
});

let sshd: Sshd | undefined;
describeFaults({
  title: 'a command over SSH',
  driver: command,
  async open(place) {
    sshd ??= await startFarSshd(place);
    const far = await openFarVictim(sshd);
    return {
      source: async () => sourceAt(await far.connect()),
      disconnect: () => far.disconnect(),
      declared: { source: { command: argv, host: 'far' }, hosts: far.hosts },
      faults: far.faults(mark),
      leftovers: async () => far.programs(),
      [Symbol.asyncDispose]: () => far[Symbol.asyncDispose](),
    };
  },
  close: async () => await sshd?.[Symbol.asyncDispose](),
});

function killMarked(): void {
  for (const [id, line] of processesWith('TMPDIR=')) if (line.endsWith(mark)) endProcess(id);
}
