/** Sources by what a person names: names, a policy, or all. */
import { HoldfastError } from '../../base/errors.ts';
import { type Config, type SourceEntry, suggestion } from '../../config/index.ts';
import type { AnyDriver, SourceContext } from '../../drivers/driver.ts';
import { driverOf, type StoredSnapshot, sourceOf } from '../../model/snapshot.ts';
import type { Execution, SourceAccess } from '../operation.ts';
import type { HostPool } from './host-pool.ts';

export interface SourceChoice {
  readonly sources?: readonly string[];
  readonly policy?: string;
  readonly all?: boolean;
}

/** The chosen sources in the order of the file. `config.unknown-name`; `usage.invalid` if nothing or too much was chosen. */
export function chooseSources(config: Config, choice: SourceChoice): SourceEntry[] {
  const names = choice.sources ?? [];
  const ways = Number(names.length > 0) + Number(choice.policy !== undefined) + Number(choice.all === true);
  if (ways !== 1) {
    throw new HoldfastError({
      code: 'usage.invalid',
      message: ways === 0 ? 'no source is named' : 'names, --policy and --all exclude each other',
      remedy: `Name sources (${[...config.sources.keys()].join(', ') || 'none declared'}), or use --policy NAME or --all.`,
    });
  }
  if (choice.policy !== undefined && !config.policies.has(choice.policy)) {
    throw unknownName('policy', choice.policy, config, [...config.policies.keys()]);
  }
  for (const name of names) sourceEntry(config, name);
  const chosen = [...config.sources.values()].filter((source) =>
    choice.policy === undefined ? choice.all || names.includes(source.name) : source.policy === choice.policy,
  );
  if (chosen.length > 0) return chosen;
  throw new HoldfastError({
    code: 'usage.invalid',
    message:
      choice.policy === undefined
        ? `no source is declared in ${config.file}`
        : `no source uses the policy «${choice.policy}»`,
    remedy: 'Declare one under «sources:».',
  });
}

export function sourceEntry(config: Config, name: string): SourceEntry {
  const entry = config.sources.get(name);
  if (entry) return entry;
  throw unknownName('source', name, config, [...config.sources.keys()]);
}

function unknownName(noun: string, name: string, config: Config, known: readonly string[]): HoldfastError {
  return new HoldfastError({
    code: 'config.unknown-name',
    message: `there is no ${noun} «${name}» in ${config.file}`,
    remedy: suggestion(name, known, noun),
  });
}

/** `driver.unknown`. */
export function driverNamed(drivers: readonly AnyDriver[], name: string): AnyDriver {
  const driver = drivers.find((one) => one.name === name);
  if (driver) return driver;
  throw new HoldfastError({
    code: 'driver.unknown',
    message: `this version has no driver «${name}»`,
    remedy: suggestion(
      name,
      drivers.map((one) => one.name),
      'driver',
    ),
  });
}

/** What a driver gets of a source; its host is opened, or with `away` left alone: what only reads snapshots works when the host is gone. */
export async function contextOf(
  source: SourceEntry,
  uses: Execution & { readonly hosts: HostPool },
  { away = false } = {},
): Promise<SourceContext<unknown>> {
  const { clock, signal, report, hosts } = uses;
  const host = away ? hosts.local : await hosts.get(source.host);
  const { local, secret } = hosts;
  return { name: source.name, settings: source.settings, ...{ host, local, secret, clock, signal, report } };
}

/** The driver that made a snapshot, and its source: as it is declared here, or as the snapshot itself tells. What other programs stored are files. */
export async function sourceOfSnapshot(
  snapshot: StoredSnapshot,
  uses: SourceAccess & Execution & { readonly hosts: HostPool },
  isAway: (driver: AnyDriver) => boolean,
): Promise<{ driver: AnyDriver; source: SourceContext<unknown> }> {
  const driver = driverNamed(uses.drivers, driverOf(snapshot) ?? 'files');
  const declared = uses.config.sources.get(sourceOf(snapshot) ?? '');
  if (declared?.driver === driver.name) {
    return { driver, source: await contextOf(declared, uses, { away: isAway(driver) }) };
  }
  const { clock, signal, report, hosts } = uses;
  const name = sourceOf(snapshot) ?? snapshot.paths[0] ?? snapshot.id.slice(0, 8);
  const settings = settingsFromSnapshot(driver, snapshot);
  const { local, secret } = hosts;
  return { driver, source: { name, settings, host: local, ...{ local, secret, clock, signal, report } } };
}

/** Settings for a snapshot whose source is not declared here: what its paths say, in the form the driver takes. */
function settingsFromSnapshot(driver: AnyDriver, snapshot: StoredSnapshot): unknown {
  const guesses: unknown[] = [{ path: snapshot.paths[0] }, { paths: snapshot.paths }, {}];
  for (const guess of guesses) {
    const parsed = driver.settings.safeParse(guess);
    if (parsed.success) return parsed.data;
  }
  return undefined;
}
