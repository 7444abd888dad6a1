/** What is done, was done, and is to be done; and what happened. */
import { report } from '../../operations/report/report.ts';
import { cancelRun } from '../../operations/runs/cancel-run.ts';
import { diagnoseRun } from '../../operations/runs/diagnose-run.ts';
import { listEvents } from '../../operations/runs/list-events.ts';
import { countRunStates, listRuns } from '../../operations/runs/list-runs.ts';
import { showLog, showRun } from '../../operations/runs/show-run.ts';
import { operationRoute } from '../operation-route.ts';
import type { Route, Subject } from '../route.ts';

/** These look by themselves at what the caller may see. */
const theirs = (): Subject => ({});

export const runRoutes: readonly Route[] = [
  operationRoute(listRuns, {
    ...{ method: 'get', path: '/api/runs', id: 'listRuns', tag: 'runs' },
    summary: 'List runs, the newest first.',
    where: theirs,
  }),
  operationRoute(countRunStates, {
    ...{ method: 'get', path: '/api/run-counts', id: 'countRuns', tag: 'runs' },
    summary: 'How many runs there are, by state.',
    where: () => ({ everything: true }),
  }),
  operationRoute(showRun, {
    ...{ method: 'get', path: '/api/runs/{id}', id: 'showRun', tag: 'runs' },
    summary: 'Show a run, with what its operation gave.',
    where: theirs,
  }),
  operationRoute(showLog, {
    ...{ method: 'get', path: '/api/runs/{id}/log', id: 'showRunLog', tag: 'runs' },
    summary: 'A page of the log of a run.',
    where: theirs,
  }),
  operationRoute(diagnoseRun, {
    ...{ method: 'get', path: '/api/diagnosis', id: 'diagnoseRun', tag: 'runs' },
    summary: 'Why a run failed, and what to do: by its id, or the last one of a source.',
    where: theirs,
  }),
  operationRoute(report, {
    ...{ method: 'get', path: '/api/report', id: 'showReport', tag: 'status' },
    summary: 'What was done over some time: runs by day, what did not go well, how repositories grew.',
    where: theirs,
  }),
  operationRoute(cancelRun, {
    ...{ method: 'post', path: '/api/runs/{id}/cancel', id: 'cancelRun', tag: 'runs' },
    summary: 'Take a run back, or stop it.',
    where: theirs,
  }),
  operationRoute(listEvents, {
    ...{ method: 'get', path: '/api/events', id: 'listEvents', tag: 'events' },
    summary: 'What happened, the newest first.',
    where: theirs,
  }),
];
