/** Which databases of a server a source is about. */
import { HoldfastError } from '../../base/errors.ts';
import { byBytes } from './catalog.ts';
import { matcher, systemDatabases } from './names.ts';
import { readGrants } from './privileges.ts';
import type { Session } from './session.ts';
import type { Place, Settings } from './settings.ts';

/** All but the server's own, as far as the user sees them. */
export async function presentDatabases(session: Session): Promise<string[]> {
  const found = await session.rows('SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA');
  return found
    .map(({ name }) => name ?? '')
    .filter((name) => !systemDatabases.has(name.toLowerCase()))
    .toSorted(byBytes);
}

function wantedOf({ databases }: Settings, { database }: Place): 'all' | readonly string[] {
  return databases ?? (database === undefined ? 'all' : [database]);
}

/** Whether the settings are about a database of this name. */
export function isMeant(settings: Settings, place: Place): (name: string) => boolean {
  const wanted = wantedOf(settings, place);
  const isWanted = wanted === 'all' ? () => true : matcher(wanted);
  const isExcluded = matcher(settings.exclude);
  return (name) => isWanted(name) && !isExcluded(name);
}

/**
 * The chosen databases, by name. `source.missing` if a name without patterns is not there, or nothing is chosen;
 * `source.unreadable` if others may be hidden from the user that `all` or a pattern means.
 */
export async function chooseDatabases(session: Session, settings: Settings, place: Place): Promise<string[]> {
  const present = await presentDatabases(session);
  const wanted = wantedOf(settings, place);
  const isName = (one: string): boolean => !/[*?]/.test(one);
  const missing = wanted === 'all' ? undefined : wanted.find((one) => isName(one) && !present.includes(one));
  if (missing !== undefined) throw notThere(`has no database ${missing}`, place);
  if (wanted === 'all' || !wanted.every(isName)) await requireSight(session, settings, place, present);
  const chosen = present.filter(isMeant(settings, place));
  if (chosen.length > 0) return chosen;
  const what = wanted === 'all' ? '' : ` that fits ${wanted.join(', ')}`;
  const less = settings.exclude.length > 0 ? ` and is not excluded (${settings.exclude.join(', ')})` : '';
  throw notThere(`has no database${what}${less} besides its own`, place);
}

function notThere(what: string, { title, user }: Place): HoldfastError {
  return new HoldfastError({
    code: 'source.missing',
    message: `${title} ${what}, as far as the user ${user} sees`,
    remedy: `Correct «databases» and «exclude», or grant ${user} what backups need; is it the right server, with its data?`,
  });
}

/** A server lists only what a user has some right on: what is hidden would be left out without a word. */
async function requireSight(
  session: Session,
  settings: Settings,
  place: Place,
  present: readonly string[],
): Promise<void> {
  const { listsAll, restricted } = await readGrants(session);
  const isChosen = isMeant(settings, place);
  const hidden = restricted.filter((name) => isChosen(name) && !present.includes(name));
  if (listsAll && hidden.length === 0) return;
  const what = listsAll ? `the database ${hidden[0]}` : 'every database';
  throw new HoldfastError({
    code: 'source.unreadable',
    message: `the user ${place.user} of ${place.title} does not see ${what}, so that a backup of «databases: ${String(wantedOf(settings, place))}» could leave some out`,
    remedy:
      'GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON *.* (or SHOW DATABASES ON *.*, with rights on each database) TO the user, or name the databases without patterns.',
  });
}
