/** What is safe, what is not, and why. */
import { z } from 'zod';
import { coverage } from '../../operations/coverage/coverage.ts';
import { proofs } from '../../operations/proofs.ts';
import { runbook } from '../../operations/runbook/runbook.ts';
import { type StatusOutput, status } from '../../operations/status.ts';
import { viewOf } from '../authorize.ts';
import { operationRoute } from '../operation-route.ts';
import type { Route } from '../route.ts';

const statusRoute = operationRoute(status, {
  ...{ method: 'get', path: '/api/status', id: 'showStatus', tag: 'status' },
  summary: 'What is not safely restorable now, and why.',
  where: () => ({}),
  filter: (output, { uses }) => {
    const view = viewOf(uses.principal, 'viewer', uses.config);
    if (view.everything) return output;
    const sources = output.sources.filter((one) => view.source(one.source));
    const repositories = output.repositories.filter((one) => view.repository(one.name));
    const isAny = [...uses.config.sources.keys()].some((name) => view.source(name));
    const ok = isAny && [...sources, ...repositories].every((one) => one.ok);
    return { ok, sources, repositories, elsewhere: output.elsewhere.filter((one) => view.source(one.source)) };
  },
});

/** An overview of ten thousand sources shows the first of them, and how many there are. */
const limitedStatus: Route = {
  ...statusRoute,
  query: statusRoute.query.extend({ limit: z.number().int().min(1).max(100_000).optional() }),
  description: '`limit`: at most so many sources; `counts` says how many there are.',
  run: async (given, call) => {
    const output = (await statusRoute.run(given, call)) as StatusOutput;
    const { limit } = given as { readonly limit?: number };
    return limit === undefined ? output : { ...output, sources: output.sources.slice(0, limit) };
  },
};

export const statusRoutes: readonly Route[] = [
  limitedStatus,
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
      return { proofs: output.proofs.filter((one) => view.source(one.source)) };
    },
  }),
];
