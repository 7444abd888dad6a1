/** Tools that only look. */
import { z } from 'zod';
import { coverage } from '../../operations/coverage/coverage.ts';
import { runbook } from '../../operations/runbook/runbook.ts';
import { proofs } from '../../operations/snapshots/proofs.ts';
import { snapshots } from '../../operations/snapshots/snapshots.ts';
import { isAllSafe, status } from '../../operations/status/status.ts';
import { requireEverything, requireRepository, requireSource, seenBy } from '../rights.ts';
import { reading, type Tool, tool } from './tool.ts';

const source = z.string().describe('Name of a declared source.');
const limit = z.number().int().min(1).max(100).default(20).describe('How many at most, the newest.');

const listSources = tool({
  name: 'list_sources',
  title: 'List sources',
  description: 'What is protected: each declared source with its driver, host, policy, schedule and repositories.',
  permission: 'viewer',
  input: {},
  annotations: reading,
  run: async (_, { uses }) => {
    const seen = seenBy(uses);
    const sources = [...uses.config.sources.values()].filter(({ name }) => seen.source(name));
    return {
      sources: sources.map(({ name, driver, host, policy, workspace, placements }) => {
        const { schedule, everyMs, drill } = uses.config.policies.get(policy ?? '') ?? {};
        return {
          ...{ name, driver, host, policy, workspace, schedule, everyMs, drill: drill?.schedule },
          repositories: placements.map(({ repository }) => repository),
        };
      }),
    };
  },
});

const showStatus = tool({
  name: 'status',
  title: 'What is not safe',
  description:
    'What is not safely restorable now, and why, with a remedy for each: too old, never proven, failed, missed, not copied, unreachable. Call this first.',
  permission: status.permission,
  input: {
    source: source.optional(),
    only: z.enum(['all', 'concerns']).default('concerns').describe('concerns: leave out what is safe.'),
    limit: z.number().int().min(1).max(500).default(50).describe('How many sources at most; `counts` is of all.'),
  },
  annotations: reading,
  run: async ({ source: name, only, limit: most }, { uses }) => {
    if (name !== undefined) requireSource(name, 'viewer', uses);
    const seen = seenBy(uses);
    const found = await status.run({ only, ...(name ? {} : { limit: most }) }, uses);
    const repositories = found.repositories.filter((one) => seen.repository(one.name));
    const sources = found.sources.filter(
      (one) => seen.source(one.source) && (name === undefined || one.source === name),
    );
    // A short list may leave out what is not safe; of one source whatever is not safe is there.
    const states = uses.config.sources.get(name ?? '')?.placements.length ?? 0;
    const own = { states, concerns: sources.filter((one) => !one.ok).length };
    const ok = isAllSafe({ counts: name === undefined ? found.counts : own, repositories });
    return { ok, ...(name === undefined ? { counts: found.counts } : {}), sources, repositories };
  },
});

const listSnapshots = tool({
  name: 'list_snapshots',
  title: 'List snapshots',
  description: 'Snapshots of one source, newest first: id, time, size, repository, and the last trial restore of each.',
  permission: snapshots.permission,
  input: { source, repository: z.string().optional(), limit },
  annotations: reading,
  run: async ({ source: name, repository, limit: most }, { uses }) => {
    requireSource(name, snapshots.permission, uses);
    requireRepository(repository, uses);
    const found = await snapshots.run({ source: name, repository, all: false }, uses);
    return {
      total: found.snapshots.length,
      snapshots: found.snapshots
        .slice(-most)
        .toReversed()
        .map(({ id, time, repository: place, paths, files, bytes, addedBytes, pinned, proof }) => ({
          ...{ id, time, repository: place, paths, files, bytes, addedBytes, pinned },
          proof: proof && { verdict: proof.verdict, time: proof.time, restoreMs: proof.restoreMs },
        })),
      failed: found.failed,
    };
  },
});

const listProofs = tool({
  name: 'list_proofs',
  title: 'List proofs',
  description:
    'Trial restores, newest first: verdict, measured recovery time, how much was compared and what was different.',
  permission: proofs.permission,
  input: { source, limit },
  annotations: reading,
  run: async ({ source: name, limit: most }, { uses }) => {
    requireSource(name, proofs.permission, uses);
    const { proofs: made, failed } = await proofs.run({ source: name }, uses);
    return { total: made.length, proofs: made.slice(-most).toReversed(), failed };
  },
});

const showCoverage = tool({
  name: 'coverage',
  title: 'What is not covered',
  description:
    'Looks at this machine and the declared hosts: databases, servers, containers and volumes that nothing backs up; sources without schedule, drill or a copy elsewhere. Takes up to a minute.',
  permission: coverage.permission,
  input: { look: z.boolean().default(true).describe('False: judge what is declared, look at no machine.') },
  annotations: reading,
  run: async ({ look }, { uses }) => {
    requireEverything(coverage.permission, uses);
    return await coverage.run({ roots: [], timeoutMs: 15_000, ignore: [], look }, uses);
  },
});

const showRunbook = tool({
  name: 'runbook',
  title: 'How to restore it',
  description:
    'The exact steps to restore one source, with Holdfast and without it, from its newest snapshot and last proof. Markdown.',
  permission: runbook.permission,
  input: { source },
  annotations: reading,
  run: async ({ source: name }, { uses }) => {
    requireSource(name, runbook.permission, uses);
    const { runbooks } = await runbook.run({ sources: [name], all: false }, uses);
    return runbooks[0];
  },
});

export const readTools: readonly Tool[] = [
  listSources,
  showStatus,
  listSnapshots,
  listProofs,
  showCoverage,
  showRunbook,
];
