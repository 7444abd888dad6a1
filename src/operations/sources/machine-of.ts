/** Which machine the services are on that a source's window stops. */
import { type Config, performingHost } from '../../config/index.ts';
import type { AnyHostKind } from '../../hosts/host.ts';
import { thisMachine } from '../../runs/window/index.ts';

/** A container has no services of its own to stop: they are those of the machine it runs on. */
export function isHere(kind: string): boolean {
  return kind === 'local' || kind === 'docker';
}

/** The same for all hosts of a configuration that are on one machine, as far as it tells: `local`, an address, or a name. */
export function machineOf(host: string, { hosts }: Pick<Config, 'hosts'>, kinds: readonly AnyHostKind[]): string {
  const entry = hosts.get(host);
  const there = performingHost(host, hosts, kinds);
  if (!entry || isHere(entry.kind)) return there ?? thisMachine;
  const kind = kinds.find(({ name }) => name === entry.kind);
  return kind?.place?.(entry.settings).address ?? entry.name;
}
