import type { Command } from 'commander';
import { formatBytes, formatDuration } from '../../base/bytes.ts';
import type { RunEvent } from '../../model/run.ts';
import type { RunLogLine, RunRecord } from '../../model/run-record.ts';
import type { CancelRunOutput } from '../../operations/runs/cancel-run.ts';
import type { ListRunsOutput } from '../../operations/runs/list-runs.ts';
import type { Face } from '../face.ts';
import { emitList } from '../list-writer.ts';
import { facts, localTime, table } from '../table.ts';
import { withCatalogue } from '../with-catalogue.ts';
import { addDiagnose } from './runs-diagnose.ts';

interface ListOptions {
  readonly state?: string[];
  readonly kind?: string[];
  readonly source?: string;
  readonly repository?: string;
  readonly policy?: string;
  readonly limit: string;
  readonly cursor?: string;
}

export function add(program: Command, face: Face): void {
  const runs = program.command('runs').description('what was done, is being done, and waits');
  addList(runs, face);
  addDiagnose(runs, face);
  runs
    .command('show')
    .description('one run: how it went, what it gave')
    .argument('<id>', 'its id, or a beginning that no other has')
    .action(async (id: string) => {
      const { showRun } = await import('../../operations/runs/show-run.ts');
      await withCatalogue(face, (uses) => face.perform(showRun, { id }, uses, { text: describeRun }));
    });
  runs
    .command('log')
    .description('what a run told while it went on')
    .argument('<id>', 'its id, or a beginning that no other has')
    .option('--follow', 'go on until the run has ended')
    .option('--after <line>', 'only lines after that number', '0')
    .action(async (id: string, options: { follow?: boolean; after: string }) => await showLog(id, options, face));
  runs
    .command('cancel')
    .description('take a run back, or stop it')
    .argument('<id>', 'its id, or a beginning that no other has')
    .action(async (id: string) => {
      const { cancelRun } = await import('../../operations/runs/cancel-run.ts');
      await withCatalogue(face, (uses) => face.perform(cancelRun, { id }, uses, { text: describeCancel }));
    });
}

function addList(runs: Command, face: Face): void {
  runs
    .command('list')
    .description('runs, newest first')
    .option('--state <state...>', 'queued, running, succeeded, failed, cancelled, missed')
    .option('--kind <kind...>', 'backup, copy, forget, prune, check, drill, restore')
    .option('--source <name>', 'only of this source')
    .option('--repository <name>', 'only in this repository')
    .option('--policy <name>', 'only by this policy')
    .option('--limit <count>', 'at most so many', '50')
    .option('--cursor <id>', 'go on after this run')
    .action(async ({ state, kind, limit, ...filter }: ListOptions) => {
      const { listRuns } = await import('../../operations/runs/list-runs.ts');
      const input = { ...filter, states: state, kinds: kind, limit: Number(limit) };
      await withCatalogue(face, (uses) => face.perform(listRuns, input, uses, { text: describeList }));
    });
}

async function showLog(id: string, options: { follow?: boolean; after: string }, face: Face): Promise<void> {
  const { followLog, showLog: showPage } = await import('../../operations/runs/show-run.ts');
  const after = Number(options.after);
  const line = ({ seq, atMs, event }: RunLogLine): string => `${seq}  ${localTime(atMs)}  ${describeEvent(event)}`;
  await withCatalogue(face, async (uses) => {
    const output = await emitList(face, { key: 'lines', line }, async (emit) => {
      if (options.follow) return { run: await face.run(followLog, { id, after }, { ...uses, emit }) };
      let next: number | undefined = after;
      while (next !== undefined) {
        const page: Awaited<ReturnType<typeof showPage.run>> = await face.run(
          showPage,
          { id, after: next, limit: 500 },
          uses,
        );
        for (const one of page.lines) await emit(one);
        next = page.next;
      }
      return {};
    });
    if ('run' in output && output.run && output.run.state !== 'succeeded') face.exitStatus = 1;
  });
}

function describeEvent(event: RunEvent): string {
  if (event.type === 'stage') return [event.stage, event.subject].filter(Boolean).join(' ');
  if (event.type === 'warning') return `warning: ${event.message}${event.subject ? ` (${event.subject})` : ''}`;
  if (event.type === 'note') return event.message;
  const total = event.bytesTotal === undefined ? '' : ` of ${formatBytes(event.bytesTotal)}`;
  return `${event.stage}: ${formatBytes(event.bytesDone)}${total}${event.subject ? ` ${event.subject}` : ''}`;
}

function describeList({ runs, next }: ListRunsOutput): string {
  if (runs.length === 0) return 'no runs';
  const rows = table(runs, [
    { title: 'ID', value: (run) => run.id },
    { title: 'QUEUED', value: (run) => localTime(run.queuedAtMs) },
    { title: 'KIND', value: (run) => run.kind },
    { title: 'SOURCE', value: (run) => run.source ?? '' },
    { title: 'REPOSITORY', value: (run) => run.repository ?? '' },
    { title: 'STATE', value: stateOf },
    { title: 'TOOK', align: 'right', value: (run) => durationOf(run) ?? '' },
    { title: 'NEW', align: 'right', value: (run) => (run.addedBytes === undefined ? '' : formatBytes(run.addedBytes)) },
    { title: 'ERROR', value: (run) => run.error?.code ?? '' },
  ]);
  return next === undefined ? rows : `${rows}\nmore: --cursor ${next}`;
}

function stateOf({ state, cancelRequested }: RunRecord): string {
  return state === 'running' && cancelRequested ? 'stopping' : state;
}

function durationOf({ startedAtMs, endedAtMs }: RunRecord): string | undefined {
  return startedAtMs === undefined || endedAtMs === undefined ? undefined : formatDuration(endedAtMs - startedAtMs);
}

function describeRun(run: RunRecord): string {
  const time = (atMs: number | undefined): string | undefined => (atMs === undefined ? undefined : localTime(atMs));
  const size = (bytes: number | undefined): string | undefined =>
    bytes === undefined ? undefined : formatBytes(bytes);
  return facts([
    ['run', run.id],
    ['kind', run.kind],
    ['state', stateOf(run)],
    ['source', run.source],
    ['repository', run.repository],
    ['policy', run.policy],
    ['host', run.host],
    ['asked by', `${run.askedBy} (${run.trigger})`],
    ['due', time(run.slotMs)],
    ['queued', time(run.queuedAtMs)],
    ['waits', run.waits],
    ['started', time(run.startedAtMs)],
    ['ended', time(run.endedAtMs)],
    ['took', durationOf(run)],
    ['worker', run.worker],
    ['attempt', run.attempt > 1 ? `${run.attempt}, after ${run.retryOf ?? ''}` : undefined],
    ['progress', run.state === 'running' && run.progress ? describeEvent(run.progress) : undefined],
    ['read', size(run.bytes)],
    ['new', size(run.addedBytes)],
    ['snapshot', run.snapshot],
    ['error', run.error && `${run.error.message} (${run.error.code})`],
    ['remedy', run.error?.remedy],
  ]);
}

function describeCancel({ outcome, run }: CancelRunOutput): string {
  return outcome === 'cancelled'
    ? `the run ${run.id} is cancelled: it had not begun`
    : `the run ${run.id} is told to stop; follow it with: holdfast runs log ${run.id} --follow`;
}
