/** Where what a source protects is seen, and what of its server it leaves out. */
import type { Extent } from '../driver.ts';
import { chooseDatabases } from './choice.ts';
import { addressOf, placeOf, type Source } from './place.ts';
import { openSession } from './session.ts';
import type { Settings } from './settings.ts';

export async function extent(settings: Settings): Promise<Extent> {
  return { server: { kind: 'PostgreSQL', addresses: [addressOf(placeOf(settings))] } };
}

/** Databases of the server that the settings do not choose. `postgres`, which every server has, counts once it holds a table. */
export async function leftOut(source: Source): Promise<string[]> {
  await using session = await openSession(source);
  const place = placeOf(source.settings);
  const { names: all } = await chooseDatabases(session, { ...source.settings, databases: 'all', exclude: [] }, place);
  const chosen = new Set((await chooseDatabases(session, source.settings, place)).names);
  const others = all.filter((name) => !chosen.has(name));
  const isBare = others.includes('postgres') && (await isEmpty(source));
  return others.filter((name) => name !== 'postgres' || !isBare);
}

async function isEmpty(source: Source): Promise<boolean> {
  await using session = await openSession(source, 'postgres');
  const tables = await session.value(
    "SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'",
  );
  return tables === '0';
}
