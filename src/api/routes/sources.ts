/** What is protected, as it is declared. */
import { z } from 'zod';
import type { Config } from '../../operations/configuration/configuration.ts';
import { sourceEntry } from '../../operations/sources/source-access.ts';
import { type View, viewOf } from '../authorize.ts';
import { type Route, route } from '../route.ts';

const keep = z.record(z.string(), z.union([z.number(), z.string()]));
const placement = z.object({ repository: z.string(), keep: keep.optional() });
const sourceView = z.object({
  name: z.string(),
  driver: z.string(),
  host: z.string(),
  workspace: z.string(),
  policy: z.string().optional(),
  /** The first takes the backup, the others get copies. */
  placements: z.array(placement),
});
const policyView = z.object({
  name: z.string(),
  workspace: z.string(),
  schedule: z.string().optional(),
  timezone: z.string().optional(),
  placements: z.array(placement),
  drill: z.object({ schedule: z.string().optional(), snapshot: z.string() }).optional(),
  sources: z.array(z.string()),
});

export const sourceRoutes: readonly Route[] = [
  route({
    ...{ method: 'get', path: '/api/sources', id: 'listSources', tag: 'sources', access: 'viewer' },
    summary: 'List what is protected.',
    answer: { form: 'json', schema: z.object({ sources: z.array(sourceView) }) },
    run: async (_, { uses }) => {
      const view = viewOf(uses.principal, 'viewer', uses.config);
      const seen = [...uses.config.sources.values()].filter((one) => view.source(one.name));
      return { sources: seen.map((one) => viewSource(one)) };
    },
  }),
  route({
    ...{ method: 'get', path: '/api/sources/{source}', id: 'showSource', tag: 'sources', access: 'viewer' },
    summary: 'Show one source.',
    params: { source: z.string() },
    answer: { form: 'json', schema: sourceView },
    where: ({ source }) => ({ sources: [source] }),
    run: async ({ source }, { uses }) => viewSource(sourceEntry(uses.config, source)),
  }),
  route({
    ...{ method: 'get', path: '/api/policies', id: 'listPolicies', tag: 'sources', access: 'viewer' },
    summary: 'List policies, each with its sources.',
    answer: { form: 'json', schema: z.object({ policies: z.array(policyView) }) },
    run: async (_, { uses }) => {
      const view = viewOf(uses.principal, 'viewer', uses.config);
      const seen = [...uses.config.policies.values()].filter((one) => view.policy(one.name));
      return { policies: seen.map((one) => viewPolicy(one, uses.config, view)) };
    },
  }),
];

function viewSource(source: SourceEntry): z.infer<typeof sourceView> {
  const { name, driver, host, workspace, policy, placements } = source;
  return { name, driver, host, workspace, ...(policy === undefined ? {} : { policy }), ...viewPlacements(placements) };
}

type SourceEntry = Config['sources'] extends ReadonlyMap<string, infer Entry> ? Entry : never;
type PolicyEntry = Config['policies'] extends ReadonlyMap<string, infer Entry> ? Entry : never;

function viewPlacements(placements: SourceEntry['placements']): { placements: z.infer<typeof placement>[] } {
  return {
    placements: placements.map((one) => ({
      repository: one.repository,
      ...(one.keep ? { keep: { ...one.keep } } : {}),
    })),
  };
}

function viewPolicy(policy: PolicyEntry, config: Config, view: View): z.infer<typeof policyView> {
  const { name, schedule, timezone, placements, drill, workspace } = policy;
  const sources = [...config.sources.values()]
    .filter((one) => one.policy === name && view.source(one.name))
    .map((one) => one.name);
  return {
    ...{ name, workspace, schedule, timezone, sources },
    ...viewPlacements(placements),
    ...(drill ? { drill: { schedule: drill.schedule, snapshot: drill.snapshot } } : {}),
  };
}
