/** A shop's database for the bench of PostgreSQL: six tables, prose, JSON, indexes; and a day's work in it. */
import type { PostgresServer } from '../test/servers/postgres.ts';

/** Prose of 2,000 words, drawn unevenly, in sentences that hardly repeat. */
const prose = `
CREATE FUNCTION pick(seed text, among integer) RETURNS integer LANGUAGE sql IMMUTABLE AS $$ SELECT (hashtext(seed) & 2147483647) % among $$;
CREATE TABLE word AS SELECT i AS id, translate(substr(md5(i::text), 1, 3 + pick('l' || i, 6)), '0123456789', 'oiesaplrtn') AS word FROM generate_series(0, 1999) i;
ALTER TABLE word ADD PRIMARY KEY (id);
CREATE TABLE sentence AS
SELECT s AS id, (SELECT string_agg((SELECT word FROM word WHERE word.id = (pow(pick(s || '.' || w, 100000) / 100000.0, 3) * 1999)::integer), ' ') FROM generate_series(1, 9) w) || '. ' AS text
FROM generate_series(0, 19999) s;
ALTER TABLE sentence ADD PRIMARY KEY (id);
ANALYZE word, sentence;
CREATE FUNCTION prose(seed text, count integer) RETURNS text LANGUAGE sql STABLE AS $$ SELECT string_agg((SELECT text FROM public.sentence WHERE sentence.id = public.pick(seed || '/' || n, 20000)), '') FROM generate_series(1, count) n $$;
`;

const tables = `
CREATE TABLE customer (id bigint PRIMARY KEY, name text NOT NULL, mail text NOT NULL UNIQUE, address jsonb NOT NULL, seen timestamptz NOT NULL);
CREATE TABLE product (id bigint PRIMARY KEY, sku text NOT NULL UNIQUE, price numeric(10,2) NOT NULL, description text NOT NULL, attributes jsonb NOT NULL);
CREATE TABLE orders (id bigint PRIMARY KEY, customer bigint NOT NULL, status text NOT NULL, placed timestamptz NOT NULL, total numeric(12,2) NOT NULL, note text);
CREATE TABLE line (orders bigint NOT NULL, position integer NOT NULL, product bigint NOT NULL, quantity integer NOT NULL, price numeric(10,2) NOT NULL);
CREATE TABLE event (id bigint PRIMARY KEY, at timestamptz NOT NULL, kind text NOT NULL, payload jsonb NOT NULL);
CREATE TABLE document (id bigint PRIMARY KEY, title text NOT NULL, body text NOT NULL);
`;

const start = "'2026-01-01 00:00:00+00'::timestamptz";
const customers = `INSERT INTO customer SELECT i, initcap((SELECT word FROM word WHERE id = pick('n' || i, 2000))) || ' ' || initcap((SELECT word FROM word WHERE id = pick('s' || i, 2000))), 'user' || i || '@example.org',
  jsonb_build_object('street', 'Street ' || pick('a' || i, 5000), 'city', 'City ' || pick('c' || i, 300), 'zip', lpad(pick('z' || i, 99999)::text, 5, '0'), 'token', md5('t' || i)), ${start} + i * interval '7 seconds' FROM generate_series($1::bigint, $2) i`;
const products = `INSERT INTO product SELECT i, 'SKU-' || lpad(i::text, 8, '0'), pick('p' || i, 100000) / 100.0, prose('d' || i, 9), jsonb_build_object('colour', pick('q' || i, 12), 'weight', pick('w' || i, 3000), 'tags', jsonb_build_array(pick('x' || i, 90), pick('y' || i, 90))) FROM generate_series($1::bigint, $2) i`;
const orders = `INSERT INTO orders SELECT i, pick('oc' || i, 200000), (ARRAY['new','paid','sent','back'])[1 + pick('st' || i, 4)], ${start} + i * interval '9 seconds', pick('ot' || i, 1000000) / 100.0, CASE WHEN i % 4 = 0 THEN prose('on' || i, 2) END FROM generate_series($1::bigint, $2) i`;
const lines = `INSERT INTO line SELECT i, p, pick('lp' || i || p, 40000), 1 + pick('lq' || i || p, 5), pick('lr' || i || p, 100000) / 100.0 FROM generate_series($1::bigint, $2) i, generate_series(1, 3) p`;
const events = `INSERT INTO event SELECT i, ${start} + i * interval '5 seconds', (ARRAY['view','click','buy','error','mail'])[1 + pick('k' || i, 5)],
  jsonb_build_object('session', md5('se' || i / 12), 'customer', pick('ec' || i, 200000), 'page', '/product/' || pick('ep' || i, 40000), 'agent', (SELECT text FROM sentence WHERE id = pick('ag' || i / 12, 300)), 'ms', pick('em' || i, 9000), 'trace', md5('tr' || i)) FROM generate_series($1::bigint, $2) i`;
const documents = `INSERT INTO document SELECT i, prose('dt' || i, 1), prose('db' || i, 130) FROM generate_series($1::bigint, $2) i`;

const indexes = [
  'CREATE INDEX ON orders (customer)',
  'CREATE INDEX ON orders (placed)',
  'ALTER TABLE line ADD PRIMARY KEY (orders, position)',
  'CREATE INDEX ON line (product)',
  'CREATE INDEX ON event (at)',
  "CREATE INDEX ON event ((payload ->> 'customer'))",
  'CREATE INDEX ON customer (lower(name))',
  'ANALYZE',
];

/** Rows where a database of `scale` 1 has about 1.2 GB with its indexes. */
const counts = { customer: 200_000, product: 40_000, orders: 1_200_000, event: 1_300_000, document: 25_000 };

export async function seedShop(server: PostgresServer, database: string, scale: number): Promise<void> {
  await server.run('postgres', `CREATE DATABASE ${database}`);
  await server.run(database, prose);
  await server.run(database, tables);
  const fill = async (statement: string, count: number): Promise<void> => {
    const client = await server.client(database);
    await client.query(statement, [1, Math.ceil(count * scale)]);
    await client.end();
  };
  await Promise.all([
    (async () => {
      await fill(customers, counts.customer);
      await fill(products, counts.product);
      await fill(events, counts.event);
    })(),
    (async () => {
      await fill(orders, counts.orders);
      await fill(lines, counts.orders);
      await fill(documents, counts.document);
    })(),
  ]);
  for (const statement of indexes) await server.run(database, statement);
}

/** A few thousand rows: new orders and events, orders of the last days that change, and customers and prices here and there. */
export async function workInShop(server: PostgresServer, database: string, round: number): Promise<number> {
  const [[next]] = await server.run(database, 'SELECT max(id) + 1 FROM orders');
  const [[event]] = await server.run(database, 'SELECT max(id) + 1 FROM event');
  const [from, at] = [Number(next), Number(event)];
  const client = await server.client(database);
  let rows = 0;
  const change = async (sql: string, values: readonly number[] = []): Promise<void> => {
    rows += (await client.query(sql, [...values])).rowCount ?? 0;
  };
  await change(orders, [from, from + 499]);
  await change(lines, [from, from + 499]);
  await change(events, [at, at + 1499]);
  await change(`UPDATE orders SET status = 'sent ' || $1::integer WHERE id > $2 - 1000`, [round, from]);
  await change(`UPDATE customer SET seen = now() WHERE id % 5000 = $1`, [round]);
  await change('UPDATE product SET price = price + 0.5 WHERE id % 2000 = $1', [round]);
  await client.end();
  return rows;
}
