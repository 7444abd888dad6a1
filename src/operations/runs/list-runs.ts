/** What was run, is run, and waits. */
import { z } from 'zod';
import { countRuns, listRuns as listPage } from '../../catalogue/run-list.ts';
import { runKinds, runStates } from '../../model/run-record.ts';
import { type CatalogueAccess, operation, type RepositoryAccess } from '../operation.ts';
import { pageInput, runView, sinceInput } from './run-view.ts';
import { visibleTo } from './visible.ts';

const input = z.object({
  states: z.array(z.enum(runStates)).optional(),
  kinds: z.array(z.enum(runKinds)).optional(),
  source: z.string().optional(),
  repository: z.string().optional(),
  policy: z.string().optional(),
  ...sinceInput,
  ...pageInput,
});
const output = z.object({
  /** Newest first, without what the operations gave. */
  runs: z.array(runView),
  /** Absent after the last. */
  next: z.string().optional(),
});
export type ListRunsOutput = z.infer<typeof output>;

type Uses = Pick<RepositoryAccess, 'config'> & CatalogueAccess;

export const listRuns = operation({
  name: 'runs list',
  permission: 'viewer',
  input,
  output,
  run: async ({ cursor, limit, ...filter }: z.infer<typeof input>, uses: Uses): Promise<ListRunsOutput> => {
    const visible = visibleTo(uses.principal, 'viewer', uses);
    const page = await listPage(uses.catalogue, { ...filter, ...(visible ? { visible } : {}) }, { cursor, limit });
    return { runs: [...page.runs], ...(page.next === undefined ? {} : { next: page.next }) };
  },
});

const countInput = z.object({ sinceMs: z.number().optional() });
const countOutput = z.record(z.enum(runStates), z.number());

/** How many by state, for who sees everything. */
export const countRunStates = operation({
  name: 'runs count',
  permission: 'viewer',
  input: countInput,
  output: countOutput,
  run: async (request: z.infer<typeof countInput>, { catalogue }: Uses) => await countRuns(catalogue, request),
});
