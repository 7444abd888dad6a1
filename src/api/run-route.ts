/** Routes that start runs: what an operation takes becomes the input of a run that performs it, and the run is answered. */
import { z } from 'zod';
import type { RunKind } from '../model/run-record.ts';
import type { Operation } from '../operations/operation.ts';
import { startRun } from '../operations/runs/start-run.ts';
import { parametersOf, parsed } from './operation-route.ts';
import type { ApiUses } from './parts.ts';
import type { Call, Route, Subject } from './route.ts';

/** What a run is about; the rest of an operation's input goes along with it. */
export interface About {
  readonly sources?: readonly string[];
  readonly policy?: string;
  readonly all?: boolean;
  readonly repository?: string;
}

interface RunRouteOptions<Input> extends Pick<Route, 'method' | 'path' | 'id' | 'tag' | 'summary' | 'description'> {
  readonly kind: RunKind;
  readonly without?: readonly (keyof Input & string)[];
  readonly where: (input: Input) => Subject;
  readonly about: (input: Input, call: Call) => About | Promise<About>;
  /** Of the input, what the run gets beside what it is about. */
  readonly rest: (input: Input) => Readonly<Record<string, unknown>>;
  readonly check?: (input: Input, call: Call) => void;
}

const started = z.object({
  runs: z.array(
    z.object({
      id: z.string(),
      kind: z.string(),
      source: z.string().optional(),
      repository: z.string().optional(),
      state: z.string(),
    }),
  ),
});

export function runRoute<Input, Output, Uses>(
  operation: Operation<Input, Output, Uses>,
  options: RunRouteOptions<Input>,
): Route {
  const { kind, about, rest, check, ...others } = options;
  return {
    ...parametersOf(operation, others),
    startsRun: true,
    answer: { form: 'json', schema: started, status: 202 },
    run: async (given, call) => {
      const input = parsed(operation, given, undefined);
      check?.(input, call);
      const request = { kind, ...(await about(input, call)), input: defined(rest(input)) };
      return await startRun.run(startRun.input.parse(request), call.uses satisfies ApiUses);
    },
  };
}

function defined(input: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
}
