/**
 * What a window has to itself: the services it stops, and its source. Two windows with a claim in common are never open at
 * once, and nobody starts what an open window claims: the end of one would start a service in the middle of the other.
 */
import { type Service, titleOf, type WindowPlan } from '../../model/window.ts';
import type { WindowRecord } from './records.ts';

/** This machine, among the machines that services run on. */
export const thisMachine = 'local';

/** For people as well: `the service db on local`. The same for all ways to write a unit's name. */
export function serviceClaim({ kind, name }: Service, machine: string): string {
  return `${titleOf({ kind, name: kind === 'unit' ? name.replace(/\.service$/, '') : name })} on ${machine}`;
}

/** Of a window that is about to open. Steps around a capture are not for two captures at once: the source is claimed, too. */
export function claimsOf({ before }: Pick<WindowPlan, 'before'>, about: Owner): string[] {
  const services = before.flatMap((step) => ('stop' in step ? [serviceClaim(step.stop, machineOf(about))] : []));
  return [...new Set([sourceClaim(about), ...services])];
}

/** What closing a window would touch: what it stopped, and its source if there are steps to be taken. */
export function touchedBy(record: WindowRecord): string[] {
  const services = record.stopped.map(({ stop }) => serviceClaim(stop, machineOf(record)));
  return record.after.length > 0 ? [...services, sourceClaim(record)] : services;
}

/** All that nobody else may touch while somebody works on it. */
export function claimedBy(record: WindowRecord): string[] {
  return [...(record.claims ?? []), ...touchedBy(record)];
}

/** What of a window that was left falls to one that opens now, and what does not. */
export interface Share {
  readonly stopped: WindowRecord['stopped'];
  readonly after: WindowRecord['after'];
  /** Absent if nothing is left. */
  readonly rest?: WindowRecord;
}

/** `undefined` if nothing does. Steps go to the same source only, and those it takes anyway are taken once. */
export function shareOf(left: WindowRecord, { record, claims }: Heir): Share | undefined {
  const isClaimed = ({ stop }: WindowRecord['stopped'][number]): boolean =>
    claims.has(serviceClaim(stop, machineOf(left)));
  const isSame = sourceClaim(left) === sourceClaim(record) && left.host === record.host;
  const stopped = left.stopped.filter(isClaimed);
  const after = isSame ? left.after : [];
  if (stopped.length + after.length === 0) return undefined;
  const known = new Set(record.after.map((step) => JSON.stringify(step)));
  const rest = { ...left, stopped: left.stopped.filter((step) => !isClaimed(step)), after: isSame ? [] : left.after };
  return {
    ...{ stopped, after: after.filter((step) => !known.has(JSON.stringify(step))) },
    ...(rest.stopped.length + rest.after.length > 0 ? { rest } : {}),
  };
}

export interface Heir {
  readonly record: WindowRecord;
  readonly claims: ReadonlySet<string>;
}

type Owner = Pick<WindowRecord, 'config' | 'source' | 'host' | 'machine'>;

function sourceClaim({ source, config }: Owner): string {
  return `the source ${source} of ${config}`;
}

/** Records of earlier versions do not say: a host is told from others by its name in its configuration. */
export function machineOf({ machine, host, config }: Owner): string {
  return machine ?? (host === thisMachine ? thisMachine : `${host} of ${config}`);
}
