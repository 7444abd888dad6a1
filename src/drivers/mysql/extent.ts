/** Where what a source protects is seen, and what of its server it leaves out. */
import type { Extent, SourceContext } from '../driver.ts';
import { chooseDatabases } from './catalog.ts';
import { openSession } from './session.ts';
import { placeOf, type Settings } from './settings.ts';

export async function extent(settings: Settings): Promise<Extent> {
  return { server: { kind: 'MySQL or MariaDB', addresses: [placeOf(settings).address] } };
}

/** Databases, as far as the user sees them, that the settings do not choose; the server's own do not count. */
export async function leftOut(source: SourceContext<Settings>): Promise<string[]> {
  await using session = await openSession(source);
  const all = await chooseDatabases(session, { ...source.settings, databases: 'all', exclude: [] }, session.place);
  const chosen = new Set(await chooseDatabases(session, source.settings, session.place));
  return all.filter((name) => !chosen.has(name));
}
