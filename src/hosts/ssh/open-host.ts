/** A machine reached over SSH: what it is asked at first, and the host it is from then on. */
import { HoldfastError, hasCode } from '../../base/errors.ts';
import { isSshAddress, parseSshAddress, type SshAddress } from '../../protocols/ssh/address.ts';
import { connectThere } from '../../protocols/ssh/connect.ts';
import { type Credentials, readCredentials } from '../../protocols/ssh/credentials.ts';
import { linksTo, type Way, wayThrough } from '../../protocols/ssh/dial.ts';
import type { Host, HostTools } from '../host.ts';
import { FarShell } from './far-shell.ts';
import { abilitiesOf, type FarAbilities, type FarPlaces, farFiles } from './files.ts';
import { openFarTarget } from './restore-target.ts';
import { runThere } from './run.ts';
import type { SshSettings } from './settings.ts';
import { SftpSession } from './sftp-session.ts';

/** How long its shell may take to start a small program. */
const answerMs = 60_000;

const limits = {
  exact:
    'attributes are what SFTP knows: times to the second, no hard links, no device numbers, no file system boundaries; a change that keeps size and modification time is not seen',
  xattrs: 'extended attributes and ACLs are not backed up: getfattr (package attr) is not installed on the host',
  holes: 'holes of sparse files are read as the zeros they stand for: neither python3 nor perl is on the host',
};

export async function openSshHost(name: string, settings: SshSettings, tools: HostTools): Promise<Host> {
  const address = parseSshAddress(settings.ssh)!;
  const credentials = await readCredentials(name, settings, tools.secret);
  const way = wayTo(name, settings, credentials, tools);
  const links = linksTo({ name, address, credentials, settings, clock: tools.clock, dial: way.dial });
  const close = async (): Promise<void> => {
    links.close();
    way.close();
  };
  try {
    await links.any(tools.signal);
    const shell = new FarShell((command) => runThere(links, name, command));
    const far = await answered(name, tools, askShell(shell, address));
    const places: FarPlaces = { sftp: new SftpSession(links, name), clock: tools.clock, ...far.abilities };
    return {
      name,
      kind: 'ssh',
      hostname: far.hostname,
      files: farFiles(places),
      limits: limitsOf(far.abilities),
      run: (command) => runThere(links, name, command),
      connect: (to, signal) => connectThere(links, to, signal),
      openTarget: (directory, existing) => openFarTarget(places, directory, existing),
      close: async () => {
        await shell.close();
        await places.sftp.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** From this machine, from another host, or from an address that is reached with the same credentials. */
function wayTo(name: string, settings: SshSettings, credentials: Credentials, tools: HostTools): Way {
  const { jump } = settings;
  const { connect } = tools.local;
  if (jump === undefined) return { dial: connect, close: () => {} };
  if (isSshAddress(jump)) return wayThrough(jump, { name, credentials, settings, clock: tools.clock, dial: connect });
  return { dial: async (to, signal) => await (await tools.through(jump)).connect(to, signal), close: () => {} };
}

/** A login shell that waits for something would hold everything up for ever. */
async function answered<T>(name: string, { clock, signal }: HostTools, answer: Promise<T>): Promise<T> {
  const done = new AbortController();
  const late = clock.sleep(answerMs, { signal: AbortSignal.any([done.signal, signal]), background: true }).then(() => {
    throw new HoldfastError({
      code: 'host.unreachable',
      message: `the shell of the user on host ${name} starts nothing within ${answerMs / 1000} seconds`,
      remedy: 'Sign in with ssh and see what its start files wait for.',
      retry: 'later',
    });
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    done.abort();
  }
}

/** An account that may only transfer files cannot be asked; then the machine goes by its address. */
async function askShell(shell: FarShell, address: SshAddress): Promise<{ hostname: string; abilities: FarAbilities }> {
  try {
    const { output } = await shell.call(['uname', '-n']);
    return { hostname: output.toString('utf8').trim() || address.host, abilities: await abilitiesOf(shell) };
  } catch (error) {
    if (!hasCode(error, 'host.command-failed')) throw error;
    return { hostname: address.host, abilities: {} };
  }
}

function limitsOf(abilities: FarAbilities): string[] {
  const missing = (['exact', 'xattrs', 'holes'] as const).filter((ability) => !abilities[ability]);
  return missing.map((ability) => limits[ability]);
}
