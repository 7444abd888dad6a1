/** What happens, while it happens. */
import { z } from 'zod';
import { type Authenticated, authenticate } from '../../auth/index.ts';
import { HoldfastError } from '../../base/errors.ts';
import { timeOfSortableId } from '../../base/sortable-id.ts';
import { followHappenings, newestHappening } from '../../catalogue/happenings.ts';
import { tailLog } from '../../catalogue/run-log.ts';
import { getRun } from '../../catalogue/runs.ts';
import type { Config } from '../../operations/configuration/configuration.ts';
import { showRun } from '../../operations/runs/show-run.ts';
import { eventStream, type ServerEvent } from '../answers/event-stream.ts';
import { viewOf } from '../authorize.ts';
import { type Call, type Route, route } from '../route.ts';

const stream = { form: 'stream', type: 'text/event-stream', description: 'Server-sent events.' } as const;

export const streamRoutes: readonly Route[] = [
  route({
    ...{ method: 'get', path: '/api/events/stream', id: 'followEvents', tag: 'events', access: 'viewer' },
    summary: 'Everything that happens from now on, as server-sent events.',
    description:
      'The id of an event is what the header Last-Event-ID (or `after`) takes, to go on after it; 0 begins with the oldest that is kept. `event` is its type.',
    query: { after: z.string().max(26).optional() },
    answer: stream,
    run: async ({ after }, call) => {
      const said = call.request.headers.get('last-event-id') ?? after;
      const afterId = said === undefined ? await newestHappening(call.uses.catalogue) : eventId(said);
      const { visible } = viewOf(call.uses.principal, 'viewer', call.uses.config);
      const filter = visible ? { visible } : {};
      return streamFor(call, async function* (signal): AsyncGenerator<ServerEvent> {
        const { catalogue, clock } = call.uses;
        for await (const one of followHappenings(catalogue, { afterId, filter }, { signal, clock })) {
          yield { id: one.id, event: one.type, data: one };
        }
      });
    },
  }),
  route({
    ...{ method: 'get', path: '/api/runs/{id}/log/stream', id: 'followRunLog', tag: 'runs', access: 'viewer' },
    summary: 'The log of a run as server-sent events, until the run has ended.',
    description:
      'Lines come as `line`, with their number as id, which Last-Event-ID (or `after`) takes. After the last one comes the run itself as `end`.',
    params: { id: z.string().max(26) },
    query: { after: z.number().int().min(0).optional() },
    answer: stream,
    run: async ({ id, after }, call) => {
      const { catalogue, clock } = call.uses;
      const { id: run } = await showRun.run({ id }, call.uses);
      const said = call.request.headers.get('last-event-id');
      const fromSeq = 1 + (said === null ? (after ?? 0) : lineNumber(said));
      return streamFor(call, async function* (signal): AsyncGenerator<ServerEvent> {
        for await (const line of tailLog(catalogue, { id: run, fromSeq }, { signal, clock })) {
          yield { id: String(line.seq), event: 'line', data: line };
        }
        yield { event: 'end', data: (await getRun(catalogue, run)) ?? null };
      });
    },
  }),
];

function streamFor(call: Call, open: (signal: AbortSignal) => AsyncIterable<ServerEvent>): Response {
  const { clock, signal } = call.uses;
  const before = rightsOf(call.caller, call.uses.config);
  // With other rights than it began with it ends, too: whoever listens comes back, with what may be seen now.
  const stillAllowed = async (): Promise<void> => {
    const caller = await authenticate(call.facts.credentials, call.parts);
    if (rightsOf(caller, call.parts.access().config) === before) return;
    throw new HoldfastError({ code: 'auth.required', message: 'the rights were changed', remedy: 'Connect again.' });
  };
  return eventStream(open, { clock, signal, stillAllowed });
}

/** What the caller may see depends on the configuration, too: a source may come to another workspace. */
function rightsOf({ principal }: Authenticated, config: Config): string {
  const { visible } = viewOf(principal, 'viewer', config);
  return JSON.stringify([[...principal.roles], principal.sources && [...principal.sources], visible]);
}

function eventId(text: string): string {
  if (text === '0') return '';
  if (timeOfSortableId(text) !== undefined) return text;
  throw new HoldfastError({
    code: 'request.invalid',
    message: 'what is said to be the last event is no id of an event',
    remedy: 'Give the id of an event, or nothing to begin with what happens next.',
  });
}

function lineNumber(text: string): number {
  return /^\d{1,9}$/.test(text) ? Number(text) : 0;
}
