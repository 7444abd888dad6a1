/**
 * What happened and what somebody may want to be told of. Events are facts: they are written down with what caused them,
 * and who is told, when, and how often is decided by those who listen.
 */
export const eventTypes = {
  'backup.succeeded': 'A backup was stored.',
  'backup.failed': 'A backup ended with an error.',
  'backup.missed': 'A backup was due and did not run.',
  'copy.succeeded': 'Snapshots were copied to a further repository.',
  'copy.failed': 'Snapshots could not be copied to a further repository.',
  'copy.missed': 'A copy was due and did not run.',
  'drill.succeeded': 'A snapshot was restored and is what the backup recorded.',
  'drill.failed': 'A snapshot could not be restored, or is not what the backup recorded.',
  'drill.missed': 'A drill was due and did not run.',
  'check.succeeded': 'A repository was checked and is sound.',
  'check.failed': 'A repository is damaged, or could not be checked.',
  'check.missed': 'A check was due and did not run.',
  'prune.succeeded': 'Space in a repository was freed.',
  'prune.failed': 'Space in a repository could not be freed.',
  'prune.missed': 'Freeing space was due and did not run.',
  'forget.succeeded': 'Snapshots were removed by the rules of retention.',
  'forget.failed': 'Snapshots could not be removed.',
  'forget.missed': 'Retention was due and did not run.',
  'restore.succeeded': 'Something was restored.',
  'restore.failed': 'A restore ended with an error.',
  'restore.missed': 'A restore was due and did not run.',
  'run.lost': 'A run ended without saying how: its process or machine died.',
  'run.cancelled': 'Somebody took a run back, or stopped it; or a drill was left out because its repository is away.',
  'run.warning': 'A run ended well but warned of something.',
  'source.overdue': 'A source has no snapshot as new as its policy promises.',
  'source.recovered': 'A source that was overdue, or not proven in a repository, is safe again.',
  'proof.stale': 'The last proof of a source in one of its repositories is older than its policy promises.',
  'service.stopped': 'A service that a backup stopped could not be started again.',
  'service.started': 'A service that a backup had left stopped runs again.',
  'agent.lost': 'An agent has not been heard of.',
  'agent.returned': 'An agent is back.',
  'config.changed': 'The configuration was changed and is in use.',
  'config.refused': 'A changed configuration has errors and is not in use; the one before stays.',
  'server.started': 'Holdfast was started.',
  'sign-in.refused': 'Many attempts to sign in were refused.',
  'channel.failed': 'Notifications do not get through one of the channels.',
  'channel.returned': 'Notifications get through a channel again.',
  'notification.test': 'Somebody tries out a channel.',
} as const satisfies Record<string, string>;

export type EventType = keyof typeof eventTypes;

export const severities = ['info', 'warning', 'error'] as const;
export type Severity = (typeof severities)[number];

export interface HoldfastEvent {
  /** As a run's id: sorts by time. */
  readonly id: string;
  readonly type: EventType;
  readonly severity: Severity;
  readonly atMs: number;
  readonly source?: string;
  readonly repository?: string;
  readonly policy?: string;
  readonly run?: string;
  /** One line: what happened, to which thing. No secrets. */
  readonly title: string;
  /** More of it, for those who read on. */
  readonly message?: string;
  /** What to do about it. */
  readonly remedy?: string;
  readonly errorCode?: string;
  /** Facts for machines: bytes, durationMs, attempt, … */
  readonly facts: Readonly<Record<string, string | number | boolean>>;
}

/** error: something is not safe, or was not done that should have been · warning: it may become so · info: as it should be. */
export function severityOf(type: EventType): Severity {
  if (/\.(failed|missed|lost|overdue|stale|stopped|refused)$/.test(type)) return 'error';
  return type === 'run.warning' ? 'warning' : 'info';
}
