/** What a user says must be true of a restored copy. */

export type Expectation =
  | { readonly equals: string }
  | { readonly atLeast: number }
  | { readonly atMost: number }
  | { readonly matches: string };

interface Timed {
  readonly timeoutMs: number;
}

/** Asked in the source's own language: SQL, a Redis command. */
export interface QueryAssertion extends Timed {
  readonly query: string;
  readonly expect: Expectation;
}

/** A program on the machine of the drill. */
export interface CommandAssertion extends Timed {
  readonly command: readonly string[];
  readonly status: number;
  /** Of its stdout. */
  readonly expect?: Expectation;
}

/** A request to something that runs on the machine of the drill. */
export interface HttpAssertion extends Timed {
  readonly http: string;
  readonly status: number;
  /** Of the body. */
  readonly expect?: Expectation;
}

export type Assertion = QueryAssertion | CommandAssertion | HttpAssertion;
