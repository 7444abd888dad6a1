/** Runs, their logs and events as schemas: the shapes of the model. */
import { z } from 'zod';
import { type EventType, eventTypes, type HoldfastEvent, severities } from '../../model/event.ts';
import type { RunEvent } from '../../model/run.ts';
import { type RunLogLine, type RunRecord, runKinds, runStates, runTriggers } from '../../model/run-record.ts';

const count = z.number();
const progress = z.object({
  type: z.literal('progress'),
  stage: z.string(),
  bytesDone: count,
  bytesTotal: count.optional(),
  itemsDone: count.optional(),
  itemsTotal: count.optional(),
  subject: z.string().optional(),
});

export const runView = z.object({
  id: z.string(),
  kind: z.enum(runKinds),
  source: z.string().optional(),
  repository: z.string().optional(),
  host: z.string(),
  policy: z.string().optional(),
  trigger: z.enum(runTriggers),
  slotMs: count.optional(),
  state: z.enum(runStates),
  attempt: count,
  retryOf: z.string().optional(),
  notBeforeMs: count,
  queuedAtMs: count,
  waits: z.string().optional(),
  startedAtMs: count.optional(),
  endedAtMs: count.optional(),
  worker: z.string().optional(),
  askedBy: z.string(),
  cancelRequested: z.boolean(),
  input: z.record(z.string(), z.unknown()),
  progress: progress.optional(),
  error: z.object({ code: z.string(), message: z.string(), remedy: z.string() }).optional(),
  result: z.unknown().optional(),
  bytes: count.optional(),
  addedBytes: count.optional(),
  snapshot: z.string().optional(),
}) satisfies z.ZodType<RunRecord>;

const runEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('stage'), stage: z.string(), subject: z.string().optional() }),
  progress,
  z.object({ type: z.literal('warning'), code: z.string(), message: z.string(), subject: z.string().optional() }),
  z.object({ type: z.literal('note'), message: z.string() }),
]) satisfies z.ZodType<RunEvent>;

export const logLineView = z.object({
  runId: z.string(),
  seq: count,
  atMs: count,
  event: runEvent,
}) satisfies z.ZodType<RunLogLine>;

export const eventView = z.object({
  id: z.string(),
  type: z.enum(Object.keys(eventTypes) as EventType[]),
  severity: z.enum(severities),
  atMs: count,
  source: z.string().optional(),
  repository: z.string().optional(),
  policy: z.string().optional(),
  run: z.string().optional(),
  title: z.string(),
  message: z.string().optional(),
  remedy: z.string().optional(),
  errorCode: z.string().optional(),
  facts: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
}) satisfies z.ZodType<HoldfastEvent>;

/** A page of a list that is newest first; what `next` gives is the `cursor` of the page after it. */
export const pageInput = {
  cursor: z.string().max(200).optional(),
  limit: z.number().int().min(1).max(500).default(50),
};

/** An instant in milliseconds, or RFC 3339. */
export const sinceInput = { sinceMs: count.optional(), untilMs: count.optional() };
