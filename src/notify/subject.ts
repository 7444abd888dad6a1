/** Which events are about the same thing: what repeats what, and what ends what. */
import type { EventType, HoldfastEvent } from '../model/event.ts';

export type AboutSubject = Pick<HoldfastEvent, 'type' | 'source' | 'repository' | 'errorCode' | 'facts'>;

/** What ends troubles of other types; `X.succeeded` ends `X.failed` and `X.missed` besides. */
const endedBy: Readonly<Partial<Record<EventType, readonly EventType[]>>> = {
  'source.recovered': ['source.overdue', 'proof.stale'],
  'service.started': ['service.stopped'],
  'agent.returned': ['agent.lost'],
  'config.changed': ['config.refused'],
  'channel.returned': ['channel.failed'],
};

/** The types of trouble that an event of this type may end. */
export function endsTypes(type: EventType): readonly EventType[] {
  const [subject, outcome] = type.split('.');
  if (outcome === 'succeeded') return [`${subject}.failed`, `${subject}.missed`, 'run.lost'] as EventType[];
  return endedBy[type] ?? [];
}

/** True for what stays wrong until something ends it. */
export function lasts(type: EventType): boolean {
  return /\.(failed|missed|lost|overdue|stale|stopped)$/.test(type) || type === 'config.refused';
}

/** What may repeat and is not told each time. */
export function isTrouble({ severity }: Pick<HoldfastEvent, 'severity'>): boolean {
  return severity !== 'info';
}

/** The same trouble again has the same key: type, source, repository, error, and which agent or channel. */
export function troubleKey({ type, source = '', repository = '', errorCode = '', facts }: AboutSubject): string {
  return JSON.stringify([type, source, repository, errorCode, thing(facts)]);
}

/**
 * True if `good` says that what `bad` told is over. What names no repository is about every one of its source; but a proof is
 * one of what was read: what is told of a repository ends with a proof of that one only, and with it no backup is less overdue.
 */
export function ends(good: AboutSubject, bad: AboutSubject): boolean {
  if (good.source !== bad.source || !endsTypes(good.type).includes(bad.type)) return false;
  if (bad.type === 'run.lost' && bad.facts.kind !== undefined && bad.facts.kind !== good.type.split('.')[0])
    return false;
  const isOfProof = good.type === 'drill.succeeded' || bad.type === 'proof.stale';
  if (isOfProof && bad.repository !== undefined && good.repository === undefined) return false;
  if (bad.type === 'source.overdue' && good.repository !== undefined) return false;
  const repositories = new Set([good.repository, bad.repository].filter((one) => one !== undefined));
  return repositories.size < 2 && thing(good.facts) === thing(bad.facts);
}

function thing(facts: HoldfastEvent['facts']): string {
  return String(facts.agent ?? facts.channel ?? '');
}
