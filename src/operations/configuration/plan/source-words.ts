/** What changes of sources and policies come to. */
import type { Difference, PolicyEntry, SourceEntry } from '../../../config/index.ts';
import { retentionChange } from './retention-words.ts';
import {
  type Consequence,
  itsSnapshots,
  note,
  type Situation,
  sourcesOf,
  sourcesText,
  stayingIn,
  timesOf,
  warning,
} from './situation.ts';

export function sourceWords({ name, change }: Difference, situation: Situation): Consequence[] {
  const before = situation.before.sources.get(name);
  const after = situation.after.sources.get(name);
  if (change === 'removed' && before) return [warning(removedText(before, situation))];
  if (change === 'added' && after) return addedWords(after, situation);
  if (!before || !after) return [];
  return [
    ...policyChange(before, after, situation),
    ...movements(before, after, situation),
    ...retentionChange(before.placements, after.placements),
    ...kindChange(before, after),
  ];
}

function removedText(source: SourceEntry, situation: Situation): string {
  const places = source.placements.map((one) => one.repository);
  return `it is not backed up any more; ${stayingIn(situation, places, source.name)}`;
}

function addedWords(source: SourceEntry, situation: Situation): Consequence[] {
  const places = source.placements.map((one) => one.repository).join(', ');
  const times = timesOf(situation.after.policies.get(source.policy ?? ''));
  const found = source.placements.filter((one) => (situation.snapshotsIn(one.repository, source.name) ?? 0) > 0);
  return [
    times === undefined
      ? warning(`it has no schedule: it is stored in ${places} when somebody asks for it`)
      : note(`it is stored in ${places}, ${times}`),
    ...found.map(({ repository }) =>
      note(`${itsSnapshots(situation, repository, source.name)} are there already and count as its own`),
    ),
  ];
}

function policyChange(before: SourceEntry, after: SourceEntry, situation: Situation): Consequence[] {
  if (before.policy === after.policy) return [];
  const old = timesOf(situation.before.policies.get(before.policy ?? ''));
  const now = timesOf(situation.after.policies.get(after.policy ?? ''));
  if (now === undefined) return old === undefined ? [] : [warning('it has no schedule any more')];
  return [note(`it is due ${now}${old === undefined ? '' : ` instead of ${old}`}`)];
}

/** From which repositories to which. */
export function movements(before: SourceEntry, after: SourceEntry, situation: Situation): Consequence[] {
  const [left, entered] = moved(before, after);
  const { name } = after;
  const stay = stayingIn(situation, left, name);
  if (left.length > 0 && entered.length > 0) {
    const text = `it moves from ${left.join(', ')} to ${entered.join(', ')}: ${stay}`;
    return [warning(`${text}; retention no longer applies there`)];
  }
  if (left.length > 0) {
    const rest = after.placements.map((one) => one.repository).join(', ');
    return [warning(`it is only stored in ${rest} from now on: ${stay}; retention no longer applies there`)];
  }
  if (entered.length === 0) return [];
  return [note(`it is stored in ${entered.join(', ')}, too: what is kept there is copied with the next backup`)];
}

export function moved(before: SourceEntry, after: SourceEntry): [left: string[], entered: string[]] {
  const [old, now] = [before, after].map((one) => one.placements.map(({ repository }) => repository));
  return [old.filter((one) => !now.includes(one)), now.filter((one) => !old.includes(one))];
}

function kindChange(before: SourceEntry, after: SourceEntry): Consequence[] {
  if (before.driver !== after.driver) {
    const text = `it is of another kind (${after.driver} instead of ${before.driver}): snapshots from before can only be restored as what they are`;
    return [warning(text)];
  }
  if (before.host === after.host) return [];
  return [
    note(
      `it is read from ${after.host} instead of ${before.host}: the next snapshot may be another thing of the same name`,
    ),
  ];
}

export function policyWords(difference: Difference, situation: Situation): Consequence[] {
  const { name, change } = difference;
  const before = situation.before.policies.get(name);
  const after = situation.after.policies.get(name);
  if (change === 'removed' && before) return orphans(before, situation);
  if (change === 'added' || !before || !after) return [];
  const users = sourcesOf(situation.after, name);
  if (users.length === 0) return [note('no source uses it')];
  return [...timing(before, after, users), ...drills(before, after, users), ...together(users, situation)];
}

/** Sources that were its own and are now nobody's. */
function orphans(policy: PolicyEntry, situation: Situation): Consequence[] {
  const left = sourcesOf(situation.before, policy.name)
    .map(({ name }) => situation.after.sources.get(name))
    .filter((source) => source !== undefined && source.policy === undefined);
  if (left.length === 0) return [];
  const names = left.map((source) => source!.name);
  return [warning(`${sourcesText(names)} ${names.length === 1 ? 'has' : 'have'} no schedule any more`)];
}

function timing(before: PolicyEntry, after: PolicyEntry, users: readonly SourceEntry[]): Consequence[] {
  const [old, now] = [timesOf(before), timesOf(after)];
  const who = sourcesText(users.map((one) => one.name));
  if (old === now) return [];
  if (now === undefined) return [warning(`${who} ${users.length === 1 ? 'has' : 'have'} no schedule any more`)];
  return [note(`${who}: due ${now}${old === undefined ? '' : ` instead of ${old}`}`)];
}

function drills(before: PolicyEntry, after: PolicyEntry, users: readonly SourceEntry[]): Consequence[] {
  if (!before.drill || after.drill) return [];
  return [warning(`${sourcesText(users.map((one) => one.name))}: no drill by itself any more, proofs grow old`)];
}

/** Where its sources are stored, said once for all that move the same way. */
function together(users: readonly SourceEntry[], situation: Situation): Consequence[] {
  const pairs = users.flatMap((after) => {
    const before = situation.before.sources.get(after.name);
    return before ? [{ before, after }] : [];
  });
  const groups = Map.groupBy(pairs, ({ before, after }) => JSON.stringify([before.placements, after.placements]));
  return [...groups.values()].flatMap((group) => {
    const [{ before, after }] = group;
    const who = sourcesText(group.map((one) => one.after.name));
    if (group.length === 1) {
      const words = [...movements(before, after, situation), ...retentionChange(before.placements, after.placements)];
      return words.map(({ level, text }) => ({ level, text: `${after.name}: ${text}` }));
    }
    const [left, entered] = moved(before, after);
    const ways = left.length + entered.length === 0 ? [] : [movedTogether(who, left, entered)];
    const kept = retentionChange(before.placements, after.placements).map(({ level, text }) => ({
      level,
      text: `${who}: ${text}`,
    }));
    return [...ways, ...kept];
  });
}

function movedTogether(who: string, left: readonly string[], entered: readonly string[]): Consequence {
  if (left.length === 0)
    return note(`${who}: stored in ${entered.join(', ')}, too; what is kept there is copied with the next backup`);
  const to = entered.length > 0 ? ` to ${entered.join(', ')}` : '';
  return warning(
    `${who}: from ${left.join(', ')}${to}; snapshots from before stay where they are and are not removed, retention no longer applies there`,
  );
}
