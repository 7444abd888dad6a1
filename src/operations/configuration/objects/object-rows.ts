/** Entries made over the API and secrets given there, as the catalogue keeps them. */
import type { Transaction } from 'kysely';
import type { Secret } from '../../../base/secrets.ts';
import type { Catalogue } from '../../../catalogue/open.ts';
import type { Tables } from '../../../catalogue/tables.ts';
import { wake } from '../../../catalogue/wake.ts';
import type { Declared } from '../../../config/index.ts';
import { keyCheckName, type Sealing } from '../sealing.ts';

/** Sections whose entries may be made over the API. The server and who may do what stand in the file, or have tables of their own. */
export const objectSections = [
  'repositories',
  'hosts',
  'policies',
  'sources',
  'restores',
  'notifications',
  'workspaces',
] as const;
export type ObjectSection = (typeof objectSections)[number];

/** What those are woken by who follow the configuration in this process. */
export const objectsNews = 'configuration objects';

export const apiTitle = 'made over the API';

export interface StoredObject {
  readonly section: ObjectSection;
  readonly name: string;
  readonly value: unknown;
  readonly changedAtMs: number;
  readonly changedBy: string;
}

/** In the order they were made in, so that what an entry refers to may be any other. */
export async function readObjects({ db }: Catalogue): Promise<StoredObject[]> {
  const rows = await db
    .selectFrom('configObject')
    .selectAll()
    .where('section', 'in', objectSections)
    .orderBy('section')
    .orderBy('name')
    .execute();
  return rows.map((row) => ({
    ...row,
    section: row.section as ObjectSection,
    value: JSON.parse(row.value) as unknown,
  }));
}

export function asDeclared({ section, name, value }: Pick<StoredObject, 'section' | 'name' | 'value'>): Declared {
  return { section, name, value, origin: 'ui', title: apiTitle };
}

/** Changes whenever an entry or a stored secret does. */
export async function objectRevision({ db }: Catalogue): Promise<string> {
  const count = db.fn.countAll<number>();
  const [objects, secrets] = await Promise.all([
    db
      .selectFrom('configObject')
      .select([count.as('rows'), db.fn.max('changedAtMs').as('newestMs')])
      .where('section', 'in', objectSections)
      .executeTakeFirstOrThrow(),
    db
      .selectFrom('sealedSecret')
      .select([count.as('rows'), db.fn.max('changedAtMs').as('newestMs')])
      .executeTakeFirstOrThrow(),
  ]);
  return [objects.rows, objects.newestMs, secrets.rows, secrets.newestMs].join(' ');
}

/** Names of the secrets that are stored. */
export async function storedSecretNames({ db }: Catalogue): Promise<Set<string>> {
  const rows = await db.selectFrom('sealedSecret').select('name').where('name', '!=', keyCheckName).execute();
  return new Set(rows.map((row) => row.name));
}

/** `undefined` if it was removed meanwhile. `secret.unavailable`. */
export async function readStoredSecret({ db }: Catalogue, name: string, sealing: Sealing): Promise<Secret | undefined> {
  const row = await db.selectFrom('sealedSecret').select('sealed').where('name', '=', name).executeTakeFirst();
  return row && sealing.open(row.sealed, name);
}

/** With the secrets it refers to, in one step; stored ones of it that nothing refers to any more go. */
export async function writeObject(
  catalogue: Catalogue,
  { section, name, value, changedBy }: Omit<StoredObject, 'changedAtMs'>,
  sealed: ReadonlyMap<string, string>,
): Promise<void> {
  const changedAtMs = await catalogue.nowMs();
  const text = JSON.stringify(value);
  await catalogue.db.transaction().execute(async (db) => {
    for (const [secret, box] of sealed) {
      await db
        .insertInto('sealedSecret')
        .values({ name: secret, sealed: box, changedAtMs })
        .onConflict((conflict) => conflict.column('name').doUpdateSet({ sealed: box, changedAtMs }))
        .execute();
    }
    const row = { value: text, changedAtMs, changedBy };
    await db
      .insertInto('configObject')
      .values({ section, name, ...row })
      .onConflict((conflict) => conflict.columns(['section', 'name']).doUpdateSet(row))
      .execute();
    await removeUnused(db);
  });
  wake(catalogue, objectsNews);
}

export async function removeObject(
  catalogue: Catalogue,
  { section, name }: { section: string; name: string },
): Promise<void> {
  await catalogue.db.transaction().execute(async (db) => {
    await db.deleteFrom('configObject').where('section', '=', section).where('name', '=', name).execute();
    await removeUnused(db);
  });
  wake(catalogue, objectsNews);
}

/** Entries are few: they are looked through whole. The file may refer to stored ones only as long as an entry does. */
async function removeUnused(db: Transaction<Tables>): Promise<void> {
  const rows = await db.selectFrom('configObject').select('value').where('section', 'in', objectSections).execute();
  const used = new Set(rows.flatMap((row) => storedNames(JSON.parse(row.value))));
  const secrets = await db.selectFrom('sealedSecret').select('name').execute();
  const unused = secrets.map((one) => one.name).filter((one) => isOfObject(one) && !used.has(one));
  for (const name of unused) await db.deleteFrom('sealedSecret').where('name', '=', name).execute();
}

/** Others keep sealed secrets there, too: theirs have names that are no paths of an entry. */
function isOfObject(name: string): boolean {
  return objectSections.some((section) => name.startsWith(`${section}.`));
}

function storedNames(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  if ('stored' in value && typeof value.stored === 'string') return [value.stored];
  return Object.values(value).flatMap(storedNames);
}
