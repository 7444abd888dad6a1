/** A route as data: from it come the answer, who may have it, and what the OpenAPI document says of it. */
import { z } from 'zod';
import type { Authenticated } from '../auth/index.ts';
import type { Role } from '../model/principal.ts';
import type { ApiParts, ApiUses, RequestFacts } from './parts.ts';

/** The least role; or `signed-in` (whoever was recognised), or `anyone`. */
export type Access = Role | 'signed-in' | 'anyone';

export type Method = 'get' | 'post' | 'put' | 'delete';

export const tags = {
  status: 'What is safe, what is not, and why',
  sources: 'What is protected',
  repositories: 'Where snapshots are stored',
  snapshots: 'What was stored, and getting it back',
  runs: 'What is done, was done, and is to be done',
  events: 'What happened',
  notifications: 'Who was told of what',
  configuration: 'What is declared',
  access: 'Who may do what',
  sign: 'Signing in and out',
  agents: 'Machines that do their own backups',
  server: 'The server itself',
} as const satisfies Record<string, string>;
export type Tag = keyof typeof tags;

/**
 * The things a request concerns: the caller's role has to be large enough in the workspace of each. `everything`: in all
 * workspaces. Nothing at all: somewhere is enough, and the answer holds only what the caller may see.
 */
export interface Subject {
  readonly everything?: boolean;
  readonly sources?: readonly string[];
  readonly repositories?: readonly string[];
  readonly policies?: readonly string[];
  /** As a person names one: what made it decides, wherever it lies. */
  readonly snapshots?: readonly string[];
  /** They have to be in one repository. */
  readonly together?: boolean;
  /** Sources or snapshots, whichever they are. */
  readonly targets?: readonly string[];
  /** The repository those are said to be in. */
  readonly in?: string;
}

/** A request that may go on. */
export interface Call {
  /** Who asks; nobody where anybody may. */
  readonly caller: Authenticated;
  readonly uses: ApiUses;
  readonly facts: RequestFacts;
  readonly parts: ApiParts;
  readonly request: Request;
}

/** How the answer looks. `list`: long, made while it is read: one page as JSON, or all of it as lines (application/x-ndjson). */
export type Answer =
  | { readonly form: 'json'; readonly schema: z.ZodType; readonly status?: 200 | 201 | 202 }
  | { readonly form: 'nothing' }
  | { readonly form: 'list'; readonly item: z.ZodType; readonly rest: z.ZodType }
  | { readonly form: 'stream'; readonly type: string; readonly description: string; readonly schema?: z.ZodType }
  | { readonly form: 'redirect' };

export interface Route {
  readonly method: Method;
  /** With parameters in braces. */
  readonly path: string;
  readonly id: string;
  readonly tag: Tag;
  readonly summary: string;
  readonly description?: string;
  readonly access: Access;
  /** The verb of the command line that this route performs. */
  readonly operation?: string;
  /** What the operation gives is found in the run that is answered. */
  readonly startsRun?: boolean;
  readonly params: z.ZodObject;
  readonly query: z.ZodObject;
  readonly body?: z.ZodObject;
  readonly answer: Answer;
  /** The answer holds something that is told only once: it is not kept for a repeated idempotency key. */
  readonly secret?: boolean;
  /** A change that is not worth a line in the audit log, or writes its own. */
  readonly unaudited?: boolean;
  /** Its answer is whole before it is sent, though its form is not `json`, and asking for it changes nothing. */
  readonly head?: boolean;
  /** What was done is written down by the operation; what was refused is not. */
  readonly auditsItself?: boolean;
  where(input: unknown): Subject;
  /** JSON for `json`, or a `Response` with headers of its own; a `Response` for `stream` and `redirect`. */
  run(input: unknown, call: Call): Promise<unknown>;
}

type Shape = Readonly<Record<string, z.ZodType>>;
type InputOf<P extends Shape, Q extends Shape, B extends Shape> = z.infer<z.ZodObject<P & Q & B>>;

/** Where others decide what the query holds. */
const anything = z.looseObject({});

interface RouteOptions<P extends Shape, Q extends Shape, B extends Shape>
  extends Omit<Route, 'params' | 'query' | 'body' | 'where' | 'run'> {
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  /** The query is not checked; `run` reads it from the request. */
  readonly anyQuery?: boolean;
  readonly where?: (input: InputOf<P, Q, B>) => Subject;
  readonly run: (input: InputOf<P, Q, B>, call: Call) => Promise<unknown>;
}

type None = Record<never, never>;

/** Types a route by its schemas. What is read from path, query and body arrives as one object; unknown names are refused. */
export function route<P extends Shape = None, Q extends Shape = None, B extends Shape = None>(
  options: RouteOptions<P, Q, B>,
): Route {
  const { params, query, body, anyQuery, where, run, ...rest } = options;
  return {
    ...rest,
    params: z.strictObject(params ?? {}),
    query: anyQuery ? anything : z.strictObject(query ?? {}),
    ...(body ? { body: z.strictObject(body) } : {}),
    where: (input) => where?.(input as InputOf<P, Q, B>) ?? {},
    run: (input, call) => run(input as InputOf<P, Q, B>, call),
  };
}

export const isUnsafe = (method: Method): boolean => method !== 'get';

/**
 * Whether HEAD may be answered by performing GET and dropping the body: not where a body holds something open until it was
 * read (files, events, lists as lines), nor where asking uses something up (links, the steps of a sign-in).
 */
export function answersHead({ method, answer, head = answer.form === 'json' }: Route): boolean {
  return method === 'get' && head;
}
