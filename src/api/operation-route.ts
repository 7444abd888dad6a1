/** Routes that perform an operation: where its input is read from follows from the path and the method. */
import { z } from 'zod';
import { HoldfastError } from '../base/errors.ts';
import type { Emitting, Operation } from '../operations/operation.ts';
import type { ApiUses } from './parts.ts';
import type { Answer, Call, Route, Subject } from './route.ts';

interface OperationRouteOptions<Input, Output>
  extends Pick<Route, 'method' | 'path' | 'id' | 'tag' | 'summary' | 'description' | 'secret' | 'auditsItself'> {
  /** Members of the input that are not taken from a request, with what stands in their place. */
  readonly fixed?: Partial<Input>;
  /** Members of the input that a request cannot give: they mean something on the caller's own machine only. */
  readonly without?: readonly (keyof Input & string)[];
  readonly where: (input: Input) => Subject;
  /** Another route is what stands for the operation on a remote command line. */
  readonly unnamed?: boolean;
  /** Leaves out what the caller may not see. */
  readonly filter?: (output: Output, call: Call) => Output;
  /** Refuses what the subjects alone do not tell. */
  readonly check?: (input: Input, call: Call) => void;
}

/** Path parameters are the members of the input that the path names; the rest stands in the query of a GET, else in the body. */
export function operationRoute<Input, Output>(
  operation: Operation<Input, Output, ApiUses>,
  options: OperationRouteOptions<Input, Output>,
): Route {
  return {
    ...parametersOf(operation, options),
    answer: { form: 'json', schema: operation.output },
    run: async (given, call) => {
      const input = parsed(operation, given, options.fixed);
      options.check?.(input, call);
      const output = await operation.run(input, call.uses);
      return options.filter?.(output, call) ?? output;
    },
  };
}

interface ListRouteOptions<Input, Output> extends Omit<OperationRouteOptions<Input, Output>, 'filter' | 'check'> {
  readonly item: z.ZodType;
}

const mostItems = 10_000;

/** What a long list is made of on its way to the caller. */
export interface ListRun {
  readonly skip: number;
  readonly limit: number;
  run(emit: (item: unknown) => Promise<void> | void): Promise<unknown>;
}

/** An operation that emits a list. What it lists never changes, so a position in it is a cursor. */
export function listRoute<Input, Output, Item>(
  operation: Operation<Input, Output, ApiUses & Emitting<Item>>,
  options: ListRouteOptions<Input, Output>,
): Route {
  const base = parametersOf(operation, options);
  const paging = {
    cursor: z.string().max(20).regex(/^\d+$/).optional(),
    limit: z.number().int().min(1).max(mostItems).default(1000),
  };
  const answer: Answer = { form: 'list', item: options.item, rest: operation.output };
  return {
    ...base,
    query: base.query.extend(paging),
    answer,
    run: async (given, call) => {
      const { cursor, limit, ...rest } = given as { cursor?: string; limit: number };
      const input = parsed(operation, rest, options.fixed);
      const run: ListRun = {
        skip: Number(cursor ?? 0),
        limit,
        run: (emit) => operation.run(input, { ...call.uses, emit }),
      };
      return run;
    },
  };
}

export function parametersOf<Input, Uses>(
  operation: Operation<Input, unknown, Uses>,
  options: Omit<OperationRouteOptions<Input, never>, 'filter' | 'check'>,
): Omit<Route, 'answer' | 'run'> {
  const { fixed, without, where, unnamed, ...rest } = options;
  const shape = shapeOf(operation);
  const inPath = new Set([...options.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]));
  const gone = new Set<string>([...Object.keys(fixed ?? {}), ...(without ?? [])]);
  const params = pick(shape, (name) => inPath.has(name));
  const others = pick(shape, (name) => !inPath.has(name) && !gone.has(name));
  const isGet = options.method === 'get';
  const hasBody = !isGet && Object.keys(others).length > 0;
  return {
    ...rest,
    access: operation.permission,
    ...(unnamed ? {} : { operation: operation.name }),
    params: z.strictObject(params),
    query: z.strictObject(isGet ? others : {}),
    ...(hasBody ? { body: z.strictObject(others) } : {}),
    where: (given) => where(parsed(operation, given, fixed)),
  };
}

function shapeOf<Input>({ name, input }: Pick<Operation<Input, unknown, never>, 'name' | 'input'>): z.ZodRawShape {
  if (input instanceof z.ZodObject) return input.shape as z.ZodRawShape;
  throw new HoldfastError({
    code: 'internal',
    message: `the input of the operation ${name} is no object`,
    remedy: 'This is a fault in Holdfast; please report it.',
  });
}

function pick(shape: z.ZodRawShape, isChosen: (name: string) => boolean): Record<string, z.ZodType> {
  return Object.fromEntries(Object.entries(shape).filter(([name]) => isChosen(name))) as Record<string, z.ZodType>;
}

/** Throws what `z` throws: who calls has read the request by the same schemas. */
export function parsed<Input, Uses>(
  operation: Operation<Input, unknown, Uses>,
  given: unknown,
  fixed: object | undefined,
): Input {
  return operation.input.parse({ ...(given as object), ...fixed });
}
