/** What was told, what waits to be told, and what could not be. */
import { z } from 'zod';
import { type EventType, eventTypes, severities } from '../../model/event.ts';
import { deliveryStates, listDeliveries } from '../../notify/deliveries.ts';
import { type CatalogueAccess, operation } from '../operation.ts';

const input = z.object({
  channel: z.string().optional(),
  state: z.enum(deliveryStates).optional(),
  limit: z.number().int().min(1).max(1000).default(50),
});
const output = z.object({
  /** Newest event first. */
  deliveries: z.array(
    z.object({
      channel: z.string(),
      state: z.enum(deliveryStates),
      event: z.string(),
      type: z.enum(Object.keys(eventTypes) as EventType[]),
      severity: z.enum(severities),
      title: z.string(),
      atMs: z.number(),
      attempts: z.number(),
      /** Of what waits: when it is tried next. */
      nextAtMs: z.number().optional(),
      sentAtMs: z.number().optional(),
      lastError: z.string().optional(),
    }),
  ),
});
export type NotifyListOutput = z.infer<typeof output>;

export const notifyList = operation({
  name: 'notify list',
  permission: 'admin',
  input,
  output,
  run: async (filter: z.infer<typeof input>, { catalogue }: CatalogueAccess): Promise<NotifyListOutput> => {
    const deliveries = await listDeliveries(catalogue, filter);
    return {
      deliveries: deliveries.map(({ telling, nextAtMs, dueAtMs: _, ...rest }) => {
        const { id, type, severity, title, atMs } = telling.event;
        const next = rest.state === 'waiting' ? { nextAtMs } : {};
        return { ...rest, event: id, type, severity, title, atMs, ...next };
      }),
    };
  },
});
