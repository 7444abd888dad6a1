/** Sources by what a person names: names, a policy, or all. */
import { HoldfastError } from '../base/errors.ts';
import { type Config, localHost, type SourceEntry, suggestion } from '../config/index.ts';
import type { AnyDriver, SourceContext } from '../drivers/driver.ts';
import type { Execution, SourceAccess } from './operation.ts';

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

/** What a driver gets of a source. `host.unreachable` for a host this version cannot reach. */
export function contextOf(source: SourceEntry, uses: SourceAccess & Execution): SourceContext<unknown> {
  if (source.host !== localHost) {
    throw new HoldfastError({
      code: 'host.unreachable',
      message: `the source ${source.name} is on the host «${source.host}», which this version does not reach`,
      remedy: 'Run Holdfast on that machine, with the source declared without «host:».',
    });
  }
  const { clock, signal, report } = uses;
  return { name: source.name, settings: source.settings, host: uses.localHost(), clock, signal, report };
}
