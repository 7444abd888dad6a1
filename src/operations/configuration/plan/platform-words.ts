/** What changes of repositories, hosts, channels, people and the server come to. */
import type { Difference } from '../../../config/index.ts';
import { needRestart } from '../describe-difference.ts';
import { type Consequence, counted, danger, note, type Situation, sourcesText, warning } from './situation.ts';

export function repositoryWords({ name, change, fields }: Difference, situation: Situation): Consequence[] {
  const before = situation.before.repositories.get(name);
  const after = situation.after.repositories.get(name);
  const count = situation.snapshotsIn(name);
  const held = count === undefined ? 'its snapshots' : `its ${counted(count, 'snapshot')}`;
  if (change === 'removed') {
    return [warning(`${held} stay where they are; nothing is stored, checked or removed there any more`)];
  }
  if (change === 'added') return [note('a new one has to be made: holdfast apply --init, or holdfast repo init')];
  if (!before || !after) return [];
  const changed = (key: string): boolean => fields.some(({ path }) => path === key || path.startsWith(`${key}.`));
  return [
    ...(before.url === after.url ? [] : [danger(movedText(name, held))]),
    ...(changed('password')
      ? [note('the password has to open the same repository: add it first with repo key add')]
      : []),
    ...(before.check && !after.check ? [warning('it is not checked by itself any more')] : []),
    ...(before.prune && !after.prune ? [note('space in it is not freed by itself any more')] : []),
  ];
}

function movedText(name: string, held: string): string {
  return `it is at another place: ${held} at the place before are not found under the name ${name} any more, and sources begin anew. Right only if the data was moved there; otherwise give the new place a name of its own`;
}

export function hostWords({ name, change }: Difference, { after }: Situation): Consequence[] {
  const users = [...after.sources.values()].filter((source) => source.host === name).map((source) => source.name);
  return change === 'changed' && users.length > 0 ? [note(`${sourcesText(users)}: reached another way`)] : [];
}

export function restoreWords({ name, change }: Difference, { after }: Situation): Consequence[] {
  const entry = after.restores.get(name);
  if (!entry) return [note('it does not come by itself any more')];
  if (!entry.overwrite && !entry.inPlace) return [];
  const place = entry.to ?? 'where it came from';
  return [
    warning(
      `${change === 'added' ? 'by itself' : 'still by itself'} it replaces what is at ${place} with ${entry.source}`,
    ),
  ];
}

export function channelWords({ change }: Difference, { after }: Situation): Consequence[] {
  if (change !== 'removed') return [];
  return after.notifications.size === 0
    ? [warning('nobody is told of anything any more: it was the last')]
    : [note('nobody is told this way any more')];
}

export function userWords({ change }: Difference): Consequence[] {
  return change === 'removed' ? [note('what the file allowed them ends')] : [];
}

export function workspaceWords({ change }: Difference): Consequence[] {
  return change === 'removed' ? [note('who had a role only in it sees nothing any more')] : [];
}

export function serverWords(difference: Difference, { before, after }: Situation): Consequence[] {
  const restart = needRestart([difference]);
  const paths = difference.fields.map((one) => one.path);
  return [
    ...(restart.length > 0 ? [note(`it counts when the server is started again: ${restart.join(', ')}`)] : []),
    ...(paths.some((path) => path.startsWith('catalogue'))
      ? [danger('another catalogue: runs, people, tokens and what was made over the API stay in the one before')]
      : []),
    ...(paths.some((path) => path.startsWith('key'))
      ? [danger('another key: secrets sealed with the one before cannot be opened with it')]
      : []),
    ...(before.server.oidc && !after.server.oidc
      ? [warning(`nobody signs in through ${before.server.oidc.issuer} any more`)]
      : []),
  ];
}
