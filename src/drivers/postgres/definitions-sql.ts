/**
 * Queries about the shape of a database, one row per object: schema, subject, owner, privileges, shape, text. `shape` holds
 * what every supported version says alike; `text` is what only the same version writes alike (expressions, bodies).
 * Members of extensions are left out: their extension makes them.
 */

/** Objects of extensions and of the system are none of ours. */
function own(catalog: string, oid: string, schema = 'n.nspname'): string {
  return `${schema} !~ '^pg_' AND ${schema} <> 'information_schema' AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = '${catalog}'::regclass AND e.objid = ${oid} AND e.deptype = 'e')`;
}

/** Grants to others than the owner; MAINTAIN came with 17. */
function grants(acl: string, kind: string, owner: string): string {
  return `(SELECT string_agg(g, ' ' ORDER BY g COLLATE "C") FROM (SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee)::text END || '=' || privilege_type || CASE WHEN is_grantable THEN '*' ELSE '' END AS g
    FROM aclexplode(coalesce(${acl}, acldefault('${kind}', ${owner}))) WHERE privilege_type <> 'MAINTAIN' AND grantee <> ${owner}) grants)`;
}

const columns = `(SELECT jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.atthasdef, a.attidentity, a.attgenerated, a.attstorage, coalesce(a.attstattarget, -1) > 0,
    (SELECT l.collname FROM pg_collation l WHERE l.oid = a.attcollation), col_description(c.oid, a.attnum)) ORDER BY a.attname COLLATE "C")
  FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)`;

/** Names of columns by their numbers. */
function names(numbers: string, relation: string): string {
  return `(SELECT jsonb_agg(a.attname ORDER BY u.at) FROM unnest(${numbers}) WITH ORDINALITY u(number, at) JOIN pg_attribute a ON a.attrelid = ${relation} AND a.attnum = u.number)`;
}

/** Since 18 there are rows for NOT NULL, too. */
const constraints = `(SELECT jsonb_agg(jsonb_build_array(k.conname, k.contype, ${names('k.conkey', 'k.conrelid')}, k.confrelid::regclass::text, ${names('k.confkey', 'k.confrelid')},
    k.confupdtype, k.confdeltype, k.confmatchtype, k.condeferrable, k.condeferred, k.convalidated) ORDER BY k.conname COLLATE "C")
  FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype NOT IN ('n', 't'))`;

const indexes = `(SELECT jsonb_agg(jsonb_build_array(i.relname, m.amname, x.indisunique, x.indisprimary, x.indisexclusion, x.indisclustered, x.indisreplident, x.indnkeyatts, x.indnatts, x.indisvalid, x.indpred IS NULL) ORDER BY i.relname COLLATE "C")
  FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am m ON m.oid = i.relam WHERE x.indrelid = c.oid)`;

const triggers = `(SELECT jsonb_agg(jsonb_build_array(t.tgname, t.tgtype, t.tgenabled, t.tgfoid::regproc::text, t.tgdeferrable, t.tginitdeferred) ORDER BY t.tgname COLLATE "C")
  FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)`;

const policies = `(SELECT jsonb_agg(jsonb_build_array(p.polname, p.polcmd, p.polpermissive,
    (SELECT jsonb_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r)::text END ORDER BY CASE r WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r)::text END COLLATE "C") FROM unnest(p.polroles) r)) ORDER BY p.polname COLLATE "C")
  FROM pg_policy p WHERE p.polrelid = c.oid)`;

const relationText = `concat_ws(E'\\n',
  CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END, CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END, pg_get_expr(c.relpartbound, c.oid),
  (SELECT string_agg(a.attname || ' ' || pg_get_expr(d.adbin, d.adrelid), E'\\n' ORDER BY a.attname COLLATE "C") FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE d.adrelid = c.oid),
  (SELECT string_agg(k.conname || ' ' || pg_get_constraintdef(k.oid), E'\\n' ORDER BY k.conname COLLATE "C") FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype NOT IN ('n', 't')),
  (SELECT string_agg(pg_get_indexdef(x.indexrelid), E'\\n' ORDER BY pg_get_indexdef(x.indexrelid) COLLATE "C") FROM pg_index x WHERE x.indrelid = c.oid),
  (SELECT string_agg(pg_get_triggerdef(t.oid), E'\\n' ORDER BY t.tgname COLLATE "C") FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal),
  (SELECT string_agg(pg_get_ruledef(w.oid), E'\\n' ORDER BY w.rulename COLLATE "C") FROM pg_rewrite w WHERE w.ev_class = c.oid AND w.rulename <> '_RETURN'),
  (SELECT string_agg(pg_get_statisticsobjdef(s.oid), E'\\n' ORDER BY s.stxname COLLATE "C") FROM pg_statistic_ext s WHERE s.stxrelid = c.oid),
  (SELECT string_agg(concat_ws(' ', p.polname, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)), E'\\n' ORDER BY p.polname COLLATE "C") FROM pg_policy p WHERE p.polrelid = c.oid))`;

/** Takes the oids of the relations chosen. */
export const relationsSql = `
SELECT n.nspname, CASE c.relkind WHEN 'r' THEN 'table ' WHEN 'p' THEN 'table ' WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view ' WHEN 'S' THEN 'sequence ' ELSE 'foreign table ' END || n.nspname || '.' || c.relname,
  pg_get_userbyid(c.relowner), ${grants('c.relacl', 'r', 'c.relowner').replace("acldefault('r'", "acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\"")},
  jsonb_build_array(c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity, c.relreplident, c.relispartition, CASE WHEN c.relkind = 'm' THEN c.relispopulated END, (SELECT jsonb_agg(o ORDER BY o COLLATE "C") FROM unnest(c.reloptions) o), obj_description(c.oid, 'pg_class'),
    (SELECT jsonb_agg(h.inhparent::regclass::text ORDER BY h.inhseqno) FROM pg_inherits h WHERE h.inhrelid = c.oid),
    (SELECT jsonb_build_array(format_type(q.seqtypid, NULL), q.seqstart, q.seqincrement, q.seqmax, q.seqmin, q.seqcache, q.seqcycle) FROM pg_sequence q WHERE q.seqrelid = c.oid),
    CASE WHEN c.relkind <> 'S' THEN ${columns} END, ${constraints}, ${indexes}, ${triggers}, ${policies})::text,
  ${relationText}
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY ($1::oid[])`;

const schemasSql = `
SELECT n.nspname, 'schema ' || n.nspname, pg_get_userbyid(n.nspowner), ${grants('n.nspacl', 'n', 'n.nspowner')}, coalesce(obj_description(n.oid, 'pg_namespace'), ''), ''
FROM pg_namespace n WHERE ${own('pg_namespace', 'n.oid')} AND n.nspname <> 'public'`;

const functionsSql = `
SELECT n.nspname, CASE p.prokind WHEN 'a' THEN 'aggregate ' WHEN 'p' THEN 'procedure ' ELSE 'function ' END || n.nspname || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
  pg_get_userbyid(p.proowner), ${grants('p.proacl', 'f', 'p.proowner')},
  jsonb_build_array(p.prokind, l.lanname, pg_get_function_result(p.oid), p.prosecdef, p.proleakproof, p.proisstrict, p.provolatile, p.proparallel, p.procost, p.prorows, to_jsonb(p.proargnames), CASE WHEN l.lanname <> 'internal' THEN p.prosrc END, obj_description(p.oid, 'pg_proc'))::text,
  concat_ws(E'\\n', CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END,
    (SELECT concat_ws(' ', g.aggtransfn::regproc, g.aggfinalfn::regproc, g.aggcombinefn::regproc, format_type(g.aggtranstype, NULL), g.agginitval) FROM pg_aggregate g WHERE g.aggfnoid = p.oid))
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
WHERE ${own('pg_proc', 'p.oid')} AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')`;

/** Row types of tables, arrays and what PostgreSQL makes beside a range are left out. */
const typesSql = `
SELECT n.nspname, 'type ' || n.nspname || '.' || t.typname, pg_get_userbyid(t.typowner), ${grants('t.typacl', 'T', 't.typowner')},
  jsonb_build_array(t.typtype, t.typcategory, t.typnotnull, CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END, obj_description(t.oid, 'pg_type'),
    (SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
    (SELECT jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped),
    (SELECT format_type(r.rngsubtype, NULL) FROM pg_range r WHERE r.rngtypid = t.oid))::text,
  concat_ws(E'\\n', t.typdefault, (SELECT string_agg(k.conname || ' ' || pg_get_constraintdef(k.oid), E'\\n' ORDER BY k.conname COLLATE "C") FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype <> 'n'))
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE ${own('pg_type', 't.oid')} AND (t.typtype IN ('d', 'e', 'r', 'b') OR (t.typtype = 'c' AND c.relkind = 'c'))
  AND NOT EXISTS (SELECT FROM pg_type element WHERE element.typarray = t.oid)`;

/** Inside the schemas a source names. */
export const schemaObjectSql = [schemasSql, functionsSql, typesSql];

function named(kind: string, catalog: string, name: string, schema: string, owner: string): string {
  const from = schema === '' ? `'public'::name` : `(SELECT nspname FROM pg_namespace WHERE oid = o.${schema})`;
  return `SELECT ${from}, '${kind} ' || ${schema === '' ? '' : `${from} || '.' || `}${name}, ${owner === '' ? 'NULL' : `pg_get_userbyid(o.${owner})`}, NULL, '', '' FROM ${catalog} o
    WHERE ${own(catalog, 'o.oid', from)} AND o.oid >= 16384`;
}

/** Of the whole database: by name, the ones people make. */
export const databaseObjectSql = [
  `SELECT 'public', 'extension ' || extname, NULL, NULL, '', '' FROM pg_extension`,
  named(
    'operator',
    'pg_operator',
    `o.oprname || '(' || coalesce(format_type(NULLIF(o.oprleft, 0), NULL), '') || ',' || format_type(o.oprright, NULL) || ')'`,
    'oprnamespace',
    'oprowner',
  ),
  named('operator class', 'pg_opclass', 'o.opcname', 'opcnamespace', 'opcowner'),
  named('collation', 'pg_collation', 'o.collname', 'collnamespace', 'collowner'),
  named('conversion', 'pg_conversion', 'o.conname', 'connamespace', 'conowner'),
  named('text search configuration', 'pg_ts_config', 'o.cfgname', 'cfgnamespace', 'cfgowner'),
  named('text search dictionary', 'pg_ts_dict', 'o.dictname', 'dictnamespace', 'dictowner'),
  named('statistics', 'pg_statistic_ext', 'o.stxname', 'stxnamespace', 'stxowner'),
  named('cast', 'pg_cast', `format_type(o.castsource, NULL) || ' as ' || format_type(o.casttarget, NULL)`, '', ''),
  named('event trigger', 'pg_event_trigger', `o.evtname || ' on ' || o.evtevent`, '', 'evtowner'),
  named('foreign-data wrapper', 'pg_foreign_data_wrapper', 'o.fdwname', '', 'fdwowner'),
  named('server', 'pg_foreign_server', 'o.srvname', '', 'srvowner'),
  named('language', 'pg_language', 'o.lanname', '', 'lanowner'),
  named('publication', 'pg_publication', 'o.pubname', '', 'pubowner'),
];

/** Of the whole server. The roles of the system and the one that asks are left out. */
export const rolesSql = `
SELECT 'role ' || r.rolname, jsonb_build_array(r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin, r.rolreplication, r.rolbypassrls, r.rolconnlimit, r.rolvaliduntil::text,
  (SELECT jsonb_agg(g.rolname ORDER BY g.rolname COLLATE "C") FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid),
  (SELECT to_jsonb(s.setconfig) FROM pg_db_role_setting s WHERE s.setrole = r.oid AND s.setdatabase = 0))::text
FROM pg_roles r WHERE r.rolname !~ '^pg_' AND r.rolname <> $1`;
