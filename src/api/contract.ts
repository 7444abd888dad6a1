/** What the API answers, for those who only need the types. */
import type { ErrorCode } from '../base/errors.ts';

/** RFC 9457, with what Holdfast adds: the code never changes, the remedy is the next thing to do. */
export interface ProblemDocument {
  /** Where the code is explained. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** What failed, on which thing. */
  readonly detail: string;
  readonly code: ErrorCode;
  readonly remedy: string;
  /** The path that was asked; of a fault in Holdfast itself with the number it has in the server's log. */
  readonly instance: string;
  /** Facts for machines. */
  readonly context?: Readonly<Record<string, string | number | boolean>>;
  /** Members of the request, or lines of a configuration, that are wrong. */
  readonly problems?: readonly { readonly path: string; readonly message: string; readonly remedy?: string }[];
}

/** One page of a list. `next` goes into `cursor` of the next request; null on the last page. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
}
