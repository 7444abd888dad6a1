/** From a container with labels to the entries of the configuration they declare: a source, and its container as a host. */
import { hash } from 'node:crypto';
import { type Declared, formatPath, type Problem } from '../../../config/index.ts';
import type { SeenContainer } from '../../../hosts/host.ts';
import { type LabelFault, labelPrefix, readLabels } from './label-tree.ts';
import { driverOfImage, presetFor } from './presets.ts';

export interface Labelled {
  readonly source: string;
  readonly declared: readonly Declared[];
  readonly problems: readonly Problem[];
}

const longestName = 64;
const nameForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** True if its labels are meant for this program. */
export function hasLabels({ labels }: SeenContainer): boolean {
  const { enable, value } = readLabels(labels);
  return enable ?? Object.keys(value).length > 0;
}

/** How it is called where it is reached, the same after it was made anew. */
export function referenceTo({ name, service }: SeenContainer): string {
  return service ?? name;
}

export interface Others {
  /** Names of sources that other containers have already. */
  readonly taken: ReadonlySet<string>;
  /** Services that more than one container says it is: it would not be known which one is reached. */
  readonly shared: ReadonlySet<string>;
}

export function declare(
  container: SeenContainer,
  environment: ReadonlyMap<string, string>,
  { taken, shared }: Others,
): Labelled {
  const tree = readLabels(container.labels);
  const title = `container ${container.name}`;
  const name = tree.name ?? freeName(container, taken);
  const own = shared.has(container.service ?? '') ? container.name : referenceTo(container);
  const secret = (variable: string): unknown => ({ container: `${own}#${variable}` });
  const driver = tree.value.driver ?? driverOfImage(container.image);
  const faults = [...tree.faults, ...faultsOf({ name, driver, taken })];
  const problems = faults.map((fault) => problemOf(fault, title));
  if (faults.length > 0 || typeof driver !== 'string') return { source: name, declared: [], problems };
  const mounts = container.mounts.map(({ inside }) => inside);
  const preset = presetFor(driver, { image: container.image, environment, mounts, secret });
  const value = { ...preset, ...ownSecrets(tree.value, secret), driver, host: hostOf(name) };
  const entry = { origin: 'label', title } as const;
  const placeOf: Declared['placeOf'] = (path) => `label ${labelPrefix}${formatPath(path.slice(2))}`.replace(/\.$/, '');
  return {
    source: name,
    problems,
    declared: [
      { ...entry, section: 'hosts', name: value.host, value: { docker: own } },
      { ...entry, section: 'sources', name, value, placeOf },
    ],
  };
}

/** The entry of `hosts:` for a source's container: as long as a name may be, and another one for every source. */
function hostOf(source: string): string {
  const whole = `container-${source}`;
  if (whole.length <= longestName) return whole;
  return `${whole.slice(0, longestName - 13)}-${hash('sha256', source).slice(0, 12)}`;
}

/** The service's name; with its project's where another has it. */
function freeName({ name, service }: SeenContainer, taken: ReadonlySet<string>): string {
  if (service === undefined) return name;
  const short = service.slice(service.indexOf('/') + 1);
  return taken.has(short) ? service.replace('/', '-') : short;
}

function faultsOf({
  name,
  driver,
  taken,
}: {
  name: string;
  driver: unknown;
  taken: ReadonlySet<string>;
}): LabelFault[] {
  const faults: LabelFault[] = [];
  if (!nameForm.test(name) || taken.has(name)) {
    const message = taken.has(name)
      ? `names «${name}», which another container has already`
      : `«${name}» is not a name`;
    faults.push({ label: `${labelPrefix}name`, message, remedy: 'Give it a name of its own with this label.' });
  }
  if (driver === undefined) {
    const message = 'is missing, and the image does not tell what is in it';
    faults.push({ label: `${labelPrefix}driver`, message, remedy: 'Write holdfast.driver=postgres, files, sqlite, …' });
  }
  return faults;
}

/** `{ container: VARIABLE }` is one of this container: others are not for it to name. */
function ownSecrets(value: unknown, secret: (variable: string) => unknown): Record<string, unknown> {
  const walk = (inner: unknown): unknown => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner;
    const { container } = inner as { container?: unknown };
    if (typeof container === 'string' && Object.keys(inner).length === 1) return secret(container.split('#').at(-1)!);
    return Object.fromEntries(Object.entries(inner).map(([key, one]) => [key, walk(one)]));
  };
  return walk(value) as Record<string, unknown>;
}

function problemOf({ label, message, remedy }: LabelFault, title: string): Problem {
  return { level: 'error', file: title, line: 0, column: 0, path: `label ${label}`, message, remedy };
}
