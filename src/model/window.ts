/** A maintenance window: what happens on a source's machine around the capture of a backup. */

/** Something that runs for long and can be stopped and started again. */
export type Service =
  | { readonly kind: 'container'; readonly name: string }
  /** `name` is `project/service`. */
  | { readonly kind: 'compose'; readonly name: string }
  /** A unit of systemd. */
  | { readonly kind: 'unit'; readonly name: string };

export interface HookStep {
  readonly run: readonly string[];
  readonly timeoutMs: number;
}

export interface StopStep {
  readonly stop: Service;
  /** For the stop, and again for the start. */
  readonly timeoutMs: number;
}

export interface WindowPlan {
  /** In this order, before the capture. What is stopped is started again afterwards, the last one first. */
  readonly before: readonly (HookStep | StopStep)[];
  /** After the capture, whatever happened, the last one first: it mirrors `before`. */
  readonly after: readonly HookStep[];
  /** What a step of `before` that fails means for the backup. */
  readonly onFailure: 'abort' | 'continue';
}

/** As messages name it: `the container web`. */
export function titleOf({ kind, name }: Service): string {
  const noun = { container: 'the container', compose: 'the compose service', unit: 'the service' }[kind];
  return `${noun} ${name}`;
}
