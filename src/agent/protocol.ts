/**
 * What a server and an agent say to each other: JSON texts in a WebSocket (RFC 6455) over mutually authenticated TLS 1.3.
 *
 *     agent ── hello ──▶ server          agent ◀── hello ── server          then, for each run:
 *     server ── perform ──▶   agent ── accepted | refused ──▶   agent ── events ──▶ (ack)   agent ── result ──▶ (settled)
 *
 * Versions: the hello of both says `protocol` and `features`. Another major version is refused; within a major one, kinds of
 * messages, fields and event types that one side does not know are ignored by it, and nothing that an older one needs is
 * left out. So a newer server works with older agents and the other way round.
 */
import { z } from 'zod';
import type { RunEvent } from '../model/run.ts';

export const protocolVersion = { major: 1, minor: 0 } as const;

/** What this version can beyond the first: named when there is something to choose by. */
export const features: readonly string[] = ['renew'];

/** The largest message; a configuration is at most 4 MiB. */
export const mostMessageBytes = 16 << 20;
/** The agent speaks up this often; who hears nothing for `silenceMs` hangs up. */
export const heartbeatMs = 10_000;
export const silenceMs = 35_000;
/** Events of one run in one message. */
export const mostEvents = 200;

const protocol = z.object({ major: z.number().int(), minor: z.number().int() });
export const wireError = z.object({
  code: z.string(),
  message: z.string(),
  remedy: z.string(),
  /** Whether the same may go well later. */
  retry: z.enum(['never', 'later', 'now']).optional().catch(undefined),
});
export type WireError = z.infer<typeof wireError>;

/** A run, as one holder has it: with an older fence it is another one's by now. */
const hold = z.object({ runId: z.string().min(1).max(100), fence: z.number().int() });
export type Hold = z.infer<typeof hold>;

export const event: z.ZodType<RunEvent> = z.discriminatedUnion('type', [
  z.object({ type: z.literal('stage'), stage: z.string(), subject: z.string().optional() }),
  z.object({
    type: z.literal('progress'),
    stage: z.string(),
    bytesDone: z.number(),
    bytesTotal: z.number().optional(),
    itemsDone: z.number().optional(),
    itemsTotal: z.number().optional(),
    subject: z.string().optional(),
  }),
  z.object({ type: z.literal('warning'), code: z.string(), message: z.string(), subject: z.string().optional() }),
  z.object({ type: z.literal('note'), message: z.string() }),
]);

const outcome = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), output: z.unknown().optional() }),
  z.object({ ok: z.literal(false), error: wireError }),
]);
export type Outcome = z.infer<typeof outcome>;

const hello = z.object({
  kind: z.literal('hello'),
  protocol,
  version: z.string(),
  features: z.array(z.string()).default([]),
});

const serverHello = hello.extend({
  /** Of this process: an agent sees that it has been started anew. */
  server: z.string(),
});

const agentHello = hello.extend({
  hostname: z.string(),
  platform: z.string().default(''),
  /** Of this process: the server sees that it has been started anew, and lost what it was doing. */
  instance: z.string(),
  /** What goes on, and what ended and was not settled yet. */
  runs: z
    .array(hold.extend({ state: z.enum(['running', 'ended']), source: z.string().optional() }))
    .max(1000)
    .default([]),
});
export type AgentHello = z.infer<typeof agentHello>;

const perform = hold.extend({
  kind: z.literal('perform'),
  /** Name of an operation, as on the command line. */
  operation: z.string(),
  /** What it works on: of one source there is one run at a time. */
  source: z.string().optional(),
  input: z.record(z.string(), z.unknown()),
  /** YAML with just what the operation needs; each secret is `{ env: NAME }` of one of `secrets`. */
  configuration: z.string().max(4 << 20),
  secrets: z.record(z.string(), z.string()),
});
export type Perform = z.infer<typeof perform>;

const toAgent = {
  hello: serverHello,
  perform,
  cancel: hold.extend({ kind: z.literal('cancel'), error: wireError.optional() }),
  ping: z.object({ kind: z.literal('ping') }),
  /** Send a request for a new certificate. */
  renew: z.object({ kind: z.literal('renew') }),
  certificate: z.object({ kind: z.literal('certificate'), certificate: z.string(), authority: z.string() }),
  /** Events up to this number are written down, or nobody waits for their run any more. */
  ack: hold.extend({ kind: z.literal('ack'), upTo: z.number().int() }),
  /** The result is written down, or of no use any more: forget it. */
  settled: hold.extend({ kind: z.literal('settled') }),
  /** Why the server hangs up. */
  goodbye: z.object({ kind: z.literal('goodbye'), error: wireError }),
};

const toServer = {
  hello: agentHello,
  accepted: hold.extend({ kind: z.literal('accepted') }),
  refused: hold.extend({ kind: z.literal('refused'), error: wireError }),
  events: hold.extend({
    kind: z.literal('events'),
    /** Number of the first; the others follow without gaps. */
    from: z.number().int().min(1),
    /** Null: of a type that only the sender knows. */
    events: z
      .array(z.unknown())
      .max(mostEvents)
      .transform((all) => all.map(readEvent)),
  }),
  result: hold.extend({
    kind: z.literal('result'),
    operation: z.string(),
    source: z.string().optional(),
    outcome,
    startedAtMs: z.number(),
    endedAtMs: z.number(),
    /** Messages of the warnings it gave, for who did not get them as events. */
    warnings: z.array(z.string()).default([]),
  }),
  heartbeat: z.object({ kind: z.literal('heartbeat') }),
  /** PEM of a certificate request with the agent's key. */
  renewal: z.object({ kind: z.literal('renewal'), request: z.string().max(16 << 10) }),
};

type OneOf<T extends Readonly<Record<string, z.ZodType>>> = z.infer<T[keyof T]>;
export type ToAgent = OneOf<typeof toAgent>;
export type ToServer = OneOf<typeof toServer>;
export type ResultMessage = z.infer<typeof toServer.result>;

/** What a message that could not be read is: of a kind that is not known (ignored), or not what its kind says (a fault). */
export type Unread = 'unknown' | 'malformed';

export function readToAgent(text: string): ToAgent | Unread {
  return read(toAgent, text) as ToAgent | Unread;
}

export function readToServer(text: string): ToServer | Unread {
  return read(toServer, text) as ToServer | Unread;
}

function read(kinds: Readonly<Record<string, z.ZodType>>, text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'malformed';
  }
  const kind = z.object({ kind: z.string() }).safeParse(value);
  if (!kind.success) return 'malformed';
  if (!Object.hasOwn(kinds, kind.data.kind)) return 'unknown';
  const message = kinds[kind.data.kind].safeParse(value);
  return message.success ? message.data : 'malformed';
}

function readEvent(value: unknown): RunEvent | null {
  return event.safeParse(value).data ?? null;
}

/** True for a partner this version can work with. */
export function isCompatible(partner: { readonly major: number }): boolean {
  return partner.major === protocolVersion.major;
}

/** What joining sends and gets; `POST /enrol`. */
export const enrolRequest = z.object({
  secret: z.string().min(1).max(200),
  request: z.string().max(16 << 10),
  version: z.string().max(100),
  hostname: z.string().max(300),
  platform: z.string().max(100).default(''),
});
export const enrolAnswer = z.object({ name: z.string(), certificate: z.string(), authority: z.string() });
export const enrolRefusal = z.object({ error: wireError });
