/** What is safe, what is not, and why. */
import { z } from 'zod';
import { coverage } from '../../operations/coverage/coverage.ts';
import { runbook } from '../../operations/runbook/runbook.ts';
import { proofs } from '../../operations/snapshots/proofs.ts';
import { isAllSafe, status } from '../../operations/status/status.ts';
import { viewOf } from '../authorize.ts';
import { operationRoute } from '../operation-route.ts';
import type { Route } from '../route.ts';

const statusRoute = operationRoute(status, {
  ...{ method: 'get', path: '/api/status', id: 'showStatus', tag: 'status' },
  summary: 'What is not safely restorable now, and why.',
  description: '`ok` and `counts` are of all sources, `sources` is one page of them.',
  where: () => ({}),
  // The operation itself judges and counts only sources that the caller may see.
  filter: (output, { uses }) => {
    const view = viewOf(uses.principal, 'viewer', uses.config);
    if (view.everything) return output;
    const repositories = output.repositories.filter((one) => view.repository(one.name));
    const ok = isAllSafe({ ...output, repositories });
    return { ...output, ok, repositories, elsewhere: output.elsewhere.filter((one) => view.source(one.source)) };
  },
});

/** A page of it is made and sent in a few milliseconds, however many sources there are. */
const pagedStatus: Route = {
  ...statusRoute,
  query: statusRoute.query.extend({ limit: z.number().int().min(1).max(1000).default(100) }),
};

export const statusRoutes: readonly Route[] = [
  pagedStatus,
  operationRoute(runbook, {
    ...{ method: 'get', path: '/api/runbook', id: 'showRunbook', tag: 'status' },
    summary: 'How to restore a source, step by step, with Holdfast and without it, in Markdown.',
    fixed: { all: false },
    without: ['to'],
    where: ({ sources }) => ({ sources }),
  }),
  operationRoute(coverage, {
    ...{ method: 'get', path: '/api/coverage', id: 'showCoverage', tag: 'status' },
    summary: 'What is protected, and what is not covered at all, with the lines to add.',
    without: ['roots'],
    where: () => ({ everything: true }),
  }),
  operationRoute(proofs, {
    ...{ method: 'get', path: '/api/proofs', id: 'listProofs', tag: 'status' },
    summary: 'List what was proven, oldest first.',
    where: ({ source, repository }) => ({ ...(source === undefined ? {} : { sources: [source] }), in: repository }),
    filter: (output, { uses }) => {
      const view = viewOf(uses.principal, 'viewer', uses.config);
      return {
        proofs: output.proofs.filter((one) => view.source(one.source)),
        failed: output.failed.filter((one) => view.repository(one.repository)),
      };
    },
  }),
];
