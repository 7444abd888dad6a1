/** Whether the programs are there, without running them. */
import { messageOf } from '../../base/errors.ts';
import type { Host } from '../../hosts/host.ts';
import type { Finding, SourceContext } from '../driver.ts';
import { drain } from './programs.ts';
import { programOf, type Settings } from './settings.ts';

type Source = SourceContext<Settings>;

export async function probe(source: Source): Promise<Finding[]> {
  const { restore, verify } = source.settings;
  const findings = [await look(source, source.host, programOf(source.settings), 'command')];
  if (restore) findings.push(await look(source, source.host, restore[0], 'restore'));
  if (verify) findings.push(await look(source, source.local, verify[0], 'verify'));
  else {
    findings.push({
      level: 'warning',
      message: 'drills prove that the bytes are the same, not that they are of any use',
      remedy: 'Set verify to a program that reads them, for example [pg_restore, --list].',
    });
  }
  return findings;
}

async function look(source: Source, host: Host, program: string, setting: string): Promise<Finding> {
  const { settings, signal } = source;
  const remedy = `Install it, or correct «${setting}».`;
  try {
    const process = await host.run({
      argv: ['sh', '-c', 'command -v -- "$1"', 'sh', program],
      env: settings.env,
      cwd: setting === 'verify' ? undefined : settings.cwd,
      signal,
    });
    await process.endInput();
    await drain(process);
    const { status } = await process.exit;
    if (status === 0) return { level: 'ok', message: `${program} is on ${host.name}` };
    return { level: 'error', message: `${program} (${setting}) was not found on ${host.name}`, remedy };
  } catch (error) {
    if (signal.aborted) throw error;
    const message = `whether ${program} (${setting}) is on ${host.name} cannot be seen: ${messageOf(error)}`;
    return { level: 'warning', message, remedy };
  }
}
