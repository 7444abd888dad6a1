/** Where what a source protects is seen, and what of its server it leaves out. */
import type { Extent, SourceContext } from '../driver.ts';
import { isMeant, presentDatabases } from './databases.ts';
import { openSession } from './session.ts';
import { placeOf, type Settings } from './settings.ts';

export async function extent(settings: Settings): Promise<Extent> {
  return { server: { kind: 'MySQL or MariaDB', addresses: [placeOf(settings).address] } };
}

/** Databases, as far as the user sees them, that the settings do not choose; the server's own do not count. */
export async function leftOut(source: SourceContext<Settings>): Promise<string[]> {
  await using session = await openSession(source);
  const isChosen = isMeant(source.settings, session.place);
  return (await presentDatabases(session)).filter((name) => !isChosen(name));
}
