/** What happened. */
import { z } from 'zod';
import { listHappenings } from '../../catalogue/happenings.ts';
import { type EventType, eventTypes, severities } from '../../model/event.ts';
import { type CatalogueAccess, operation, type RepositoryAccess } from '../operation.ts';
import { eventView, pageInput, sinceInput } from './run-view.ts';
import { visibleTo } from './visible.ts';

const input = z.object({
  types: z.array(z.enum(Object.keys(eventTypes) as EventType[])).optional(),
  severities: z.array(z.enum(severities)).optional(),
  source: z.string().optional(),
  repository: z.string().optional(),
  run: z.string().optional(),
  ...sinceInput,
  ...pageInput,
});
const output = z.object({
  /** Newest first. */
  events: z.array(eventView),
  /** Absent after the last. */
  next: z.string().optional(),
});
export type ListEventsOutput = z.infer<typeof output>;

type Uses = Pick<RepositoryAccess, 'config'> & CatalogueAccess;

export const listEvents = operation({
  name: 'events',
  permission: 'viewer',
  input,
  output,
  run: async ({ cursor, limit, ...filter }: z.infer<typeof input>, uses: Uses): Promise<ListEventsOutput> => {
    const visible = visibleTo(uses.principal, 'viewer', uses);
    const about = { ...filter, ...(visible ? { visible } : {}) };
    const page = await listHappenings(uses.catalogue, about, { cursor, limit });
    return { events: [...page.events], ...(page.next === undefined ? {} : { next: page.next }) };
  },
});
