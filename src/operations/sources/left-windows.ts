/** Services that a backup which was killed left stopped: every command that reads the configuration starts them again. */
import { readdir } from 'node:fs/promises';
import { leftRecords, windowsDirectory } from '../../runs/window/records.ts';
import type { Repaired } from '../../runs/window/repair.ts';
import type { Execution, SourceAccess } from '../operation.ts';

type Uses = SourceAccess & Execution;

/**
 * Reports what it did, and what it could not do, as warnings, and gives it. `isAgain` says which of those that this process
 * could not start itself are tried again, `claimed` what open windows elsewhere have to themselves. Costs one look at a
 * directory when nothing is left.
 */
export async function repairLeftWindows(
  uses: Uses,
  isAgain?: (id: string) => boolean,
  claimed?: () => Promise<ReadonlySet<string>>,
): Promise<readonly Repaired[]> {
  const { config, env, clock, report } = uses;
  const directory = windowsDirectory(env);
  if (await isEmpty(directory)) return [];
  const [{ repairWindows }, { Maintenance }, { HostPool }] = await Promise.all([
    import('../../runs/window/repair.ts'),
    import('./maintenance.ts'),
    import('./host-pool.ts'),
  ]);
  await using hosts = new HostPool(uses);
  await using maintenance = new Maintenance({ ...uses, hosts });
  const repaired = await repairWindows({
    ...{ directory, clock, isAgain, claimed },
    isOurs: (record) => record.config === config.file || record.host === hosts.local.name,
    reach: (record) => maintenance.reach(record.host),
  });
  for (const { source, done, failures } of repaired) {
    const warn = (message: string): void =>
      report({ type: 'warning', code: 'host.command-failed', message, subject: source });
    for (const message of done) warn(message);
    for (const message of failures) warn(message);
  }
  return repaired;
}

/** Sources whose services a killed backup stopped and nobody could start since. */
export async function stillStopped({
  env,
  config,
}: Pick<Uses, 'env' | 'config'>): Promise<ReadonlyMap<string, string[]>> {
  const found = new Map<string, string[]>();
  const directory = windowsDirectory(env);
  if (await isEmpty(directory)) return found;
  for (const { record } of await leftRecords(directory, { own: true })) {
    if (record?.config !== config.file || record.stopped.length === 0) continue;
    const names = record.stopped.map(({ stop }) => stop.name);
    found.set(record.source, [...(found.get(record.source) ?? []), ...names]);
  }
  return found;
}

async function isEmpty(directory: string): Promise<boolean> {
  const names = await readdir(directory).catch(() => []); // none yet, or not for this user
  return names.length === 0;
}
