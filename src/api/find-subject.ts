/** What snapshots belong to, for who may see only a part. */
import { sourceOf } from '../model/snapshot.ts';
import { openTogether } from '../operations/snapshots/snapshot-access.ts';
import type { FoundSubject } from './authorize.ts';
import type { ApiUses } from './parts.ts';
import type { Subject } from './route.ts';

export interface Found {
  readonly subject: FoundSubject;
  /** Full id by what was written: what was judged is what is used, also if «latest» means another one by then. */
  readonly ids: ReadonlyMap<string, string>;
}

/** `snapshot.unknown`; errors of the repositories that are opened to find a snapshot. */
export async function findSubject(subject: Subject, uses: ApiUses): Promise<Found> {
  const ids = new Map<string, string>();
  const found: FoundSubject[] = [];
  const { snapshots = [], together = false } = subject;
  for (const wanted of together ? [snapshots] : snapshots.map((one) => [one])) {
    await using opened = await openTogether(wanted, subject.in, uses);
    for (const [i, name] of wanted.entries()) {
      ids.set(name, opened.wanted[i].id);
      found.push(declared(sourceOf(opened.wanted[i]), uses));
    }
  }
  const { policies = [] } = subject;
  return {
    subject: {
      everything: subject.everything === true || found.some((one) => one.everything),
      sources: [...(subject.sources ?? []), ...found.flatMap((one) => one.sources ?? [])],
      repositories: [...(subject.repositories ?? []), ...found.flatMap((one) => one.repositories ?? [])],
      policies,
    },
    ids,
  };
}

/** What no declared source made is for those who see everything. */
function declared(source: string | undefined, { config }: ApiUses): FoundSubject {
  return source !== undefined && config.sources.has(source) ? { sources: [source] } : { everything: true };
}

const named = ['snapshot', 'snapshots', 'before', 'after', 'targets'];

/** The input with the ids that were found in place of what was written. */
export function withIds(input: Record<string, unknown>, ids: ReadonlyMap<string, string>): Record<string, unknown> {
  const idOf = (value: unknown): unknown => (typeof value === 'string' ? (ids.get(value) ?? value) : value);
  const entries = Object.entries(input).map(([name, value]): [string, unknown] => {
    if (!named.includes(name)) return [name, value];
    return [name, Array.isArray(value) ? value.map(idOf) : idOf(value)];
  });
  return Object.fromEntries(entries);
}
