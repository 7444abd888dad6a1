/** `.holdfast/tools.json`: what a restore has to know about a snapshot without reading the dumps. */
import { z } from 'zod';
import { HoldfastError } from '../../base/errors.ts';
import { factsFolder } from '../../model/snapshot.ts';
import type { SnapshotContents } from '../driver.ts';
import type { Session } from './session.ts';

export const toolsFile = 'tools.json';
export const dumpFolder = 'postgres';
export const globalsFile = 'globals.sql';

const grant = z.object({ grantee: z.string(), privilege: z.string(), grantable: z.boolean() });
const database = z.object({
  name: z.string(),
  /** In the snapshot: a file, or a folder for the format directory. */
  path: z.string(),
  format: z.enum(['custom', 'directory']),
  owner: z.string(),
  encoding: z.string(),
  collate: z.string(),
  ctype: z.string(),
  /** `libc`, `icu` or `builtin`. */
  provider: z.string(),
  locale: z.string().optional(),
  icuRules: z.string().optional(),
  connectionLimit: z.number(),
  /** Older snapshots do not say so. */
  isTemplate: z.boolean().optional(),
  /** What a session there begins with, unless it is the user’s own. Older snapshots do not say so. */
  timezone: z.string().optional(),
  comment: z.string().optional(),
  /** Absent: the default. */
  grants: z.array(grant).optional(),
  settings: z.array(z.object({ role: z.string(), settings: z.array(z.string()) })),
  extensions: z.array(z.object({ name: z.string(), version: z.string(), schema: z.string() })),
  /** Roles that own something in it or were granted something. */
  roles: z.array(z.string()),
  schemas: z.array(z.string()),
  /** Tables and views that are in the dump, with what belongs to them and is named otherwise. */
  relations: z.array(
    z.object({
      schema: z.string(),
      name: z.string(),
      indexes: z.array(z.string()),
      sequences: z.array(z.string()),
      partitionOf: z.object({ schema: z.string(), name: z.string() }).optional(),
      /** Catalogue and oid, as in the dump’s table of contents, of it and its parts; no foreign keys. Older snapshots do not say so. */
      oids: z.array(z.string()).optional(),
    }),
  ),
  /** Beside the default one. */
  tablespaces: z.array(z.string()).default([]),
  sizeBytes: z.number(),
  breadth: z.enum(['all', 'schemas', 'tables']),
  /** Patterns of the source that something in it fitted. Older snapshots do not say so. */
  leftOut: z
    .array(z.object({ setting: z.enum(['excludeSchemas', 'excludeTables', 'excludeTableData']), pattern: z.string() }))
    .optional(),
  /** Schemas the dump makes, if it is one of schemas. Older snapshots do not say so. */
  madeSchemas: z.array(z.string()).optional(),
  /** The dump makes the schema public, which every new database has. */
  makesPublic: z.boolean().optional(),
  largeObjects: z.enum(['content', 'count', 'none']),
  includesUnlogged: z.boolean(),
});
const tools = z.object({
  format: z.literal(1),
  server: z.object({ version: z.string(), major: z.number(), place: z.string(), standby: z.boolean() }),
  client: z.object({ version: z.string(), major: z.number(), ran: z.string() }),
  globals: z.boolean(),
  passwords: z.boolean(),
  databases: z.array(database),
});

export type DatabaseFacts = z.infer<typeof database>;
export type SourceFacts = z.infer<typeof tools>;

/** Then it has to go before a dump of schemas comes in. Older snapshots do not say so. */
export function makesPublic({ breadth, makesPublic, relations }: DatabaseFacts): boolean {
  return breadth === 'schemas' && (makesPublic ?? relations.some(({ schema }) => schema === 'public'));
}

/** `restore.failed` if the snapshot is not one of this driver. */
export async function readSourceFacts(contents: SnapshotContents): Promise<SourceFacts> {
  const path = `/${factsFolder}/${toolsFile}`;
  try {
    const parts: Uint8Array[] = [];
    for await (const part of contents.read(path)) parts.push(Uint8Array.from(part));
    return tools.parse(JSON.parse(Buffer.concat(parts).toString('utf8')));
  } catch (cause) {
    throw new HoldfastError({
      code: 'restore.failed',
      message: `the snapshot ${contents.id.slice(0, 8)} holds no ${path} that this version reads`,
      remedy:
        'Check that the snapshot was made by the postgres driver; the dumps in it can be downloaded and restored with pg_restore.',
      cause,
    });
  }
}

/** Columns that came with 15, 16 and 17 are read through JSON, so that one query suits all. */
const databaseQuery = `
SELECT d.oid, pg_get_userbyid(d.datdba), pg_encoding_to_char(d.encoding), to_jsonb(d) ->> 'datcollate', to_jsonb(d) ->> 'datctype', coalesce(to_jsonb(d) ->> 'datlocprovider', 'c'),
  coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'), to_jsonb(d) ->> 'daticurules', d.datconnlimit, shobj_description(d.oid, 'pg_database'), pg_database_size(d.oid),
  CASE WHEN d.datacl IS NULL THEN NULL ELSE (SELECT coalesce(jsonb_agg(jsonb_build_object('grantee', CASE grantee WHEN 0 THEN '' ELSE pg_get_userbyid(grantee)::text END, 'privilege', privilege_type, 'grantable', is_grantable)), '[]') FROM aclexplode(d.datacl)) END,
  (SELECT coalesce(jsonb_agg(jsonb_build_object('role', CASE s.setrole WHEN 0 THEN '' ELSE pg_get_userbyid(s.setrole)::text END, 'settings', s.setconfig)), '[]') FROM pg_db_role_setting s WHERE s.setdatabase = d.oid),
  (SELECT coalesce(jsonb_agg(jsonb_build_object('name', e.extname, 'version', e.extversion, 'schema', n.nspname) ORDER BY e.extname), '[]') FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace),
  (SELECT jsonb_agg(DISTINCT r.rolname) FROM pg_roles r WHERE r.rolname !~ '^pg_' AND (r.oid IN (10, d.datdba) OR r.oid IN (SELECT s.refobjid FROM pg_shdepend s WHERE s.dbid = d.oid AND s.refclassid = 'pg_authid'::regclass)
    OR r.oid IN (SELECT grantee FROM aclexplode(d.datacl)) OR r.oid IN (SELECT setrole FROM pg_db_role_setting s WHERE s.setdatabase = d.oid))),
  (SELECT coalesce(jsonb_agg(nspname), '[]') FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
  (SELECT coalesce(jsonb_agg(t.spcname ORDER BY t.spcname), '[]') FROM pg_tablespace t WHERE t.spcname !~ '^pg_' AND (t.oid = d.dattablespace OR t.oid IN (SELECT c.reltablespace FROM pg_class c))),
  (SELECT reset_val FROM pg_settings WHERE name = 'TimeZone' AND NOT EXISTS (SELECT FROM pg_db_role_setting s, unnest(s.setconfig) one
    WHERE s.setdatabase IN (0, d.oid) AND s.setrole = (SELECT oid FROM pg_roles WHERE rolname = current_user) AND one ILIKE 'timezone=%')), d.datistemplate
FROM pg_database d WHERE d.datname = current_database()`;

export async function readDatabaseFacts(
  session: Session,
): Promise<
  Omit<
    DatabaseFacts,
    'path' | 'format' | 'relations' | 'breadth' | 'leftOut' | 'makesPublic' | 'largeObjects' | 'includesUnlogged'
  >
> {
  const [row = []] = await session.query(databaseQuery);
  const [
    ,
    owner,
    encoding,
    collate,
    ctype,
    provider,
    locale,
    icuRules,
    limit,
    comment,
    size,
    acl,
    settings,
    extensions,
    roles,
    schemas,
    tablespaces,
    timezone,
    template,
  ] = row;
  const providers: Record<string, string> = { c: 'libc', i: 'icu', b: 'builtin' };
  return {
    name: session.database,
    owner: owner ?? '',
    encoding: encoding ?? '',
    collate: collate ?? '',
    ctype: ctype ?? '',
    provider: providers[provider ?? 'c'] ?? 'libc',
    ...given('locale', locale),
    ...given('icuRules', icuRules),
    connectionLimit: Number(limit),
    ...given('timezone', timezone),
    isTemplate: template === 't',
    ...given('comment', comment),
    ...(acl && { grants: JSON.parse(acl) as DatabaseFacts['grants'] }),
    settings: JSON.parse(settings ?? '[]') as DatabaseFacts['settings'],
    extensions: JSON.parse(extensions ?? '[]') as DatabaseFacts['extensions'],
    roles: JSON.parse(roles ?? '[]') as string[],
    schemas: JSON.parse(schemas ?? '[]') as string[],
    tablespaces: JSON.parse(tablespaces ?? '[]') as string[],
    sizeBytes: Number(size),
  };
}

function given<K extends string>(key: K, value: string | null | undefined): Partial<Record<K, string>> {
  return value ? ({ [key]: value } as Record<K, string>) : {};
}

/** What depends on a relation and has an entry of its own in a dump: catalogue, oid and relation. */
const partsOfRelations = `
  SELECT 'pg_class'::regclass::oid, oid, oid FROM pg_class
  UNION ALL SELECT 'pg_class'::regclass, indexrelid, indrelid FROM pg_index
  UNION ALL SELECT 'pg_class'::regclass, objid, refobjid FROM pg_depend JOIN pg_class s ON s.oid = objid AND s.relkind = 'S'
    WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i')
  UNION ALL SELECT 'pg_constraint'::regclass, oid, conrelid FROM pg_constraint WHERE contype <> 'f'
  UNION ALL SELECT 'pg_attrdef'::regclass, oid, adrelid FROM pg_attrdef
  UNION ALL SELECT 'pg_trigger'::regclass, oid, tgrelid FROM pg_trigger
  UNION ALL SELECT 'pg_rewrite'::regclass, oid, ev_class FROM pg_rewrite
  UNION ALL SELECT 'pg_policy'::regclass, oid, polrelid FROM pg_policy
  UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, stxrelid FROM pg_statistic_ext`;

export async function readRelations(session: Session, oids: readonly string[]): Promise<DatabaseFacts['relations']> {
  const rows = await session.query(
    `SELECT n.nspname, c.relname,
      (SELECT coalesce(jsonb_agg(i.relname), '[]') FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = c.oid),
      (SELECT coalesce(jsonb_agg(s.relname), '[]') FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.deptype IN ('a', 'i')),
      (SELECT jsonb_build_object('schema', m.nspname, 'name', p.relname) FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhparent JOIN pg_namespace m ON m.oid = p.relnamespace WHERE h.inhrelid = c.oid AND c.relispartition),
      o.oids
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN (SELECT relation, jsonb_agg(DISTINCT catalogue || ' ' || oid) AS oids FROM (${partsOfRelations}) part (catalogue, oid, relation) GROUP BY relation) o ON o.relation = c.oid
    WHERE c.oid = ANY ($1::oid[]) AND c.relkind <> 'S'`,
    [`{${oids.join(',')}}`],
  );
  return rows.map(([schema, name, indexes, sequences, partitionOf, parts]) => ({
    schema: schema ?? '',
    name: name ?? '',
    indexes: JSON.parse(indexes ?? '[]') as string[],
    sequences: JSON.parse(sequences ?? '[]') as string[],
    ...(partitionOf !== null && { partitionOf: JSON.parse(partitionOf) as { schema: string; name: string } }),
    oids: JSON.parse(parts ?? '[]') as string[],
  }));
}
