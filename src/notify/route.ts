/** Who is told of what. */
import { type HoldfastEvent, type Severity, severities } from '../model/event.ts';

/** A channel as it is declared. Lists that are empty choose everything. */
export interface ChannelPlan {
  readonly name: string;
  /** The name of its kind. */
  readonly kind: string;
  /** As the kind's schema gave them. */
  readonly settings: unknown;
  /** Types of events, `drill.*` or `*`. */
  readonly on: readonly string[];
  /** The least. Absent: every one that `on` names, or `error` if it names none. */
  readonly severity?: Severity;
  readonly sources: readonly string[];
  readonly policies: readonly string[];
  readonly repositories: readonly string[];
  readonly workspaces: readonly string[];
}

export interface Routing {
  /** What the channel's kind is told where the entry has no `on`. */
  readonly kindOn?: readonly string[];
  readonly workspacesOf: (event: HoldfastEvent) => readonly string[];
}

/** True if the channel is to be told. Trials go to the channel that is tried out, by nobody's rules. */
export function takes(plan: ChannelPlan, event: HoldfastEvent, routing: Routing): boolean {
  if (event.type === 'notification.test') return false;
  return isOfType(plan, event, routing.kindOn) && concerns(plan, event, routing);
}

/** True if the event is about something the channel was declared for, whatever its type. */
export function concerns(
  plan: ChannelPlan,
  event: HoldfastEvent,
  { workspacesOf }: Pick<Routing, 'workspacesOf'>,
): boolean {
  if (event.type === 'channel.failed' && event.facts.channel === plan.name) return false;
  return (
    includes(plan.sources, event.source) &&
    includes(plan.policies, event.policy) &&
    includes(plan.repositories, event.repository) &&
    (plan.workspaces.length === 0 || workspacesOf(event).some((one) => plan.workspaces.includes(one)))
  );
}

function isOfType({ on, severity }: ChannelPlan, event: HoldfastEvent, kindOn: readonly string[] = []): boolean {
  const patterns = on.length > 0 ? on : kindOn;
  const least = severity ?? (patterns.length > 0 ? 'info' : 'error');
  const isNamed = patterns.length === 0 || patterns.some((pattern) => fits(pattern, event.type));
  return isNamed && severities.indexOf(event.severity) >= severities.indexOf(least);
}

function fits(pattern: string, type: string): boolean {
  if (pattern === '*' || pattern === type) return true;
  return pattern.endsWith('.*') && type.startsWith(pattern.slice(0, -1));
}

function includes(names: readonly string[], name: string | undefined): boolean {
  return names.length === 0 || (name !== undefined && names.includes(name));
}
