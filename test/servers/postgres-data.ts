/** Nasty but legal content for PostgreSQL tests, and writers that keep an invariant. */
import { setTimeout } from 'node:timers/promises';
import type { PostgresServer } from './postgres.ts';

export const accounts = 200;
export const total = accounts * 1000;

/** Money only moves: the sum of all balances, and the sum of all entries per account, hold at every commit. */
const bank = `
CREATE TABLE account (id bigint PRIMARY KEY, balance bigint NOT NULL, note text);
INSERT INTO account SELECT i, 1000, repeat(md5(i::text), 20) FROM generate_series(1, ${accounts}) i;
CREATE TABLE entry (id bigserial PRIMARY KEY, account bigint NOT NULL REFERENCES account, amount bigint NOT NULL, at timestamptz NOT NULL DEFAULT now());
`;

const shapes = `
CREATE SCHEMA "Odd ""Schema"".x";
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy "quoted"');
CREATE TYPE pair AS (a integer, b text);
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE FUNCTION twice(n integer) RETURNS integer LANGUAGE sql IMMUTABLE AS $$ SELECT n * 2 $$;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changed := coalesce(NEW.changed, 0) + 1; RETURN NEW; END $$;
CREATE PROCEDURE nothing() LANGUAGE plpgsql AS $$ BEGIN NULL; END $$;
CREATE AGGREGATE total_of(integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0');
CREATE TABLE "Odd ""Schema"".x"."table; -- 'name'" (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, dropped text, real_value double precision, single real, exact numeric, flag boolean,
  bytes bytea, document jsonb, raw json, list text[], feeling mood, two pair, small positive, span interval, moment timestamptz, day date,
  range int4range, address inet, cash money, tokens tsvector, "weird "" column" text COLLATE "C", doubled integer GENERATED ALWAYS AS (small * 2) STORED, changed integer);
ALTER TABLE "Odd ""Schema"".x"."table; -- 'name'" DROP COLUMN dropped;
INSERT INTO "Odd ""Schema"".x"."table; -- 'name'" (real_value, single, exact, flag, bytes, document, raw, list, feeling, two, small, span, moment, day, range, address, cash, tokens, "weird "" column")
SELECT i / 3.0, i / 7.0, i / 11.0::numeric, i % 2 = 0, decode(md5(i::text), 'hex'), jsonb_build_object('i', i, 'text', E'tab\\t newline\\n "quoted" \\\\'), '{"a":  1}', ARRAY['a,b', NULL, E'x\\\\y'],
  'happy "quoted"', ROW(i, 'ß€😀')::pair, i, make_interval(days => i, secs => i / 10.0), '2026-11-21 03:00:00.123456+01'::timestamptz + i * interval '1 hour', '2000-02-29', int4range(i, i + 5), '192.168.0.1/24', i, to_tsvector('simple', 'a b c'), E'end\\\\.\\nNULL\\\\N'
FROM generate_series(1, 300) i;
INSERT INTO "Odd ""Schema"".x"."table; -- 'name'" (real_value, single, moment) VALUES ('NaN', 'Infinity', 'infinity'), (1e-307, -0.0, '-infinity');
CREATE TABLE codes (code character varying(10) CHECK (code IN ('a', 'b', 'c')), n integer DEFAULT 3 + 4, UNIQUE (code, n), EXCLUDE USING gist (int4range(n, n + 1) WITH &&));
CREATE INDEX codes_part ON codes (lower(code)) WHERE n > 3;
CREATE TRIGGER touching BEFORE UPDATE ON "Odd ""Schema"".x"."table; -- 'name'" FOR EACH ROW WHEN (NEW.flag) EXECUTE FUNCTION touch();
CREATE TABLE part (id integer, at date) PARTITION BY RANGE (at);
CREATE TABLE part_2025 PARTITION OF part FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE part_rest PARTITION OF part DEFAULT;
INSERT INTO part SELECT i, '2025-06-01'::date + i * 10 FROM generate_series(1, 100) i;
CREATE TABLE parent (a integer, b text);
CREATE TABLE child (c integer) INHERITS (parent);
INSERT INTO child VALUES (1, 'x', 2);
CREATE UNLOGGED TABLE scratch AS SELECT generate_series(1, 10) AS n;
CREATE VIEW rich AS SELECT a.id, a.balance FROM account a WHERE a.balance > 500 AND (a.note IS NULL OR a.id IN (1, 2, 3));
CREATE MATERIALIZED VIEW summary AS SELECT count(*) AS n FROM part;
CREATE RULE no_delete AS ON DELETE TO codes DO INSTEAD NOTHING;
CREATE SEQUENCE countdown INCREMENT -5 START 1000 MINVALUE -1000 MAXVALUE 1000;
SELECT nextval('countdown'), nextval('countdown');
CREATE SEQUENCE unused;
CREATE STATISTICS related ON balance, note FROM account;
CREATE TABLE empty_table ();
SELECT lo_from_bytea(0, decode(repeat('00ff', 3000), 'hex')), lo_from_bytea(0, ''), lo_put(lo_create(4711), 10000, 'after a hole');
ALTER TABLE codes ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE account IS 'it''s an account';
`;

const roles = `
CREATE ROLE "odd ""role""" LOGIN PASSWORD 'it''s; secret' CONNECTION LIMIT 7 VALID UNTIL '2040-01-01 00:00:00+00';
CREATE ROLE readers NOLOGIN;
GRANT readers TO "odd ""role""";
ALTER ROLE readers SET work_mem = '8MB';
COMMENT ON ROLE readers IS 'read; only
-- really';
`;
const grants = `
GRANT SELECT ON account TO readers;
ALTER TABLE codes OWNER TO "odd ""role""";
CREATE POLICY own ON codes FOR SELECT TO readers USING (code IN ('a', 'b'));
GRANT USAGE ON SCHEMA "Odd ""Schema"".x" TO readers;
`;

/** The bank, every shape of object, and roles of the server. */
export async function seedPostgres(server: PostgresServer, database: string): Promise<void> {
  const quoted = `"${database.replaceAll('"', '""')}"`;
  await server.run('postgres', `CREATE DATABASE ${quoted}`);
  const [[existing]] = await server.run('postgres', "SELECT count(*)::text FROM pg_roles WHERE rolname = 'readers'");
  if (existing === '0') await server.run('postgres', roles);
  await server.run(database, bank);
  await server.run(database, shapes);
  await server.run(database, 'CREATE EXTENSION IF NOT EXISTS pgcrypto; CREATE EXTENSION IF NOT EXISTS hstore');
  await server.run(database, grants);
  await server.run(
    database,
    `ALTER DATABASE ${quoted} SET work_mem = '5MB'; ALTER ROLE readers IN DATABASE ${quoted} SET search_path = public, "Odd ""Schema"".x"`,
  );
  await server.run(database, `COMMENT ON DATABASE ${quoted} IS 'a "comment"'`);
}

/** Move money, add rows, call sequences, empty and fill a table; stop when disposed. */
export async function startBankWriters(
  server: PostgresServer,
  database: string,
  count = 3,
): Promise<AsyncDisposable & { commits(): number }> {
  let stopping = false;
  let commits = 0;
  const writers = Array.from({ length: count }, async (_, writer) => {
    const client = await server.client(database);
    for (let i = 0; !stopping; i++) {
      const [a, b] = [1 + ((i * 7 + writer) % accounts), 1 + ((i * 13 + writer * 3 + 1) % accounts)].toSorted(
        (x, y) => x - y,
      );
      await client.query('BEGIN');
      await client.query('SELECT 1 FROM account WHERE id IN ($1, $2) ORDER BY id FOR UPDATE', [a, b]);
      await client.query('UPDATE account SET balance = balance - 1 WHERE id = $1', [a]);
      await client.query('UPDATE account SET balance = balance + 1 WHERE id = $1', [b]);
      await client.query('INSERT INTO entry (account, amount) VALUES ($1, -1), ($2, 1)', [a, b]);
      if (i % 5 === 0)
        await client.query("SELECT nextval('countdown') WHERE (SELECT last_value FROM countdown) > -900");
      await client.query('COMMIT');
      if (writer === 0 && i % 40 === 0)
        await client.query('BEGIN; TRUNCATE scratch; INSERT INTO scratch SELECT generate_series(1, 50); COMMIT');
      commits++;
      await setTimeout(1);
    }
    await client.end();
  });
  // Whoever disposes them hears of it, also where the server went away in between.
  for (const writer of writers) writer.catch(() => undefined);
  return {
    commits: () => commits,
    async [Symbol.asyncDispose]() {
      stopping = true;
      await Promise.all(writers);
    },
  };
}
