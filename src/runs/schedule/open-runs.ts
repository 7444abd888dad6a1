/** All runs that are queued or running, with what decides about their beginning. */
import type { Catalogue } from '../../catalogue/open.ts';
import type { RunKind, RunRecord, RunTrigger } from '../../model/run-record.ts';

export interface OpenRun
  extends Pick<
    RunRecord,
    'id' | 'kind' | 'source' | 'repository' | 'host' | 'policy' | 'trigger' | 'slotMs' | 'input'
  > {
  readonly notBeforeMs: number;
  readonly queuedAtMs: number;
  /** Absent: it still waits to be let in. */
  readonly admittedAtMs?: number;
  /** Why, as it stands in the catalogue. */
  readonly waits?: string;
  readonly isRunning: boolean;
}

const columns = [
  'id',
  'kind',
  'source',
  'repository',
  'host',
  'policy',
  'trigger',
  'slotMs',
  'input',
  'notBeforeMs',
  'queuedAtMs',
  'admittedAtMs',
  'waits',
  'state',
] as const;

/** Oldest first. About 1 kB each. */
export async function openRuns({ db }: Pick<Catalogue, 'db'>): Promise<OpenRun[]> {
  const rows = await db
    .selectFrom('run')
    .select(columns)
    .where('state', 'in', ['queued', 'running'])
    .orderBy('id')
    .execute();
  return rows.map(({ state, kind, trigger, input, ...row }) => {
    const known = Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null));
    return {
      ...(known as unknown as Omit<OpenRun, 'kind' | 'trigger' | 'input' | 'isRunning'>),
      kind: kind as RunKind,
      trigger: trigger as RunTrigger,
      input: JSON.parse(input) as RunRecord['input'],
      isRunning: state === 'running',
    };
  });
}
