import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../base/clock.ts';
import { unattended } from '../drivers/conformance/context.ts';
import type { RestoredCopy, SnapshotContents } from '../drivers/driver.ts';
import { sqlite } from '../drivers/sqlite/index.ts';
import { localHost } from '../hosts/local/index.ts';
import type { Assertion, Expectation } from '../model/assertion.ts';
import { checkAssertions } from './assertions.ts';

const host = localHost();
let folder: string;
let server: Server;
let port: string;
beforeAll(async () => {
  server = createServer((request, response) => {
    if (request.url === '/silent') return;
    if (request.url === '/away') response.writeHead(302, { location: 'http://example.org/' });
    response.end(request.url === '/health' ? '{"status":"green"}\n' : '');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = String((server.address() as AddressInfo).port);
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-assertions-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const timeoutMs = 10_000;
const sql = (query: string, expect: Expectation): Assertion => ({ query, expect, timeoutMs });
const program = (script: string, more: object = {}): Assertion => ({
  command: ['sh', '-c', script],
  status: 0,
  timeoutMs,
  ...more,
});
const http = (url: string, more: object = {}): Assertion => ({ http: url, status: 200, timeoutMs, ...more });

async function check(
  copy: Pick<RestoredCopy, 'query' | 'environment' | 'isApart' | 'clients'>,
  ...assertions: Assertion[]
) {
  const source = { clock: systemClock, signal: new AbortController().signal };
  return await checkAssertions(assertions, { copy, source, throwaway: { directory: folder, host } });
}

const found = (checks: Awaited<ReturnType<typeof check>>) => checks.map((one) => [one.ok, one.expected, one.found]);
const plain = { environment: {} };

/** A SQLite database as its driver restores it in a drill. */
async function restoredShop(): Promise<RestoredCopy> {
  const source = unattended({
    name: 'shop',
    settings: sqlite.settings.parse({ path: '/srv/shop.db' }),
    host,
    local: host,
  });
  const contents = {
    id: 'abcdef01',
    paths: ['/srv/shop.db'],
    node: async () => ({ type: 'file', name: 'shop.db' }),
    writeTree: async (_: string, directory: string) => {
      using db = new DatabaseSync(join(directory, 'shop.db'));
      db.exec(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT); INSERT INTO orders VALUES (1, 'cup'), (2, 'pot')",
      );
      return { files: 1, bytes: 8192, problems: [] };
    },
  } as unknown as SnapshotContents;
  return await sqlite.restoreThrowaway(source, contents, { directory: folder, host });
}

test('a restored database is asked in its own language, without changing it', async () => {
  await using copy = await restoredShop();
  const checks = await check(
    copy,
    sql('select count(*) from orders', { equals: '2' }),
    sql('select count(*) from orders', { atLeast: 3 }),
    sql('select count(*) from orders', { atMost: 2 }),
    sql('select id, item from orders order by id', { equals: '1\tcup\n2\tpot' }),
    sql('select item from orders', { matches: '^p.t$' }),
    sql('select item from orders limit 1', { matches: '^c' }),
    sql('select item from orders limit 1', { atLeast: 0 }),
    sql('select * from no_such_table', { equals: '' }),
    sql('delete from orders', { equals: '' }),
    sql('select count(*) from orders', { equals: '2' }),
  );
  expect(checks.map(({ ok }) => ok)).toEqual([true, false, true, true, false, true, false, false, false, true]);
  expect(checks[0]).toEqual({
    subject: 'assertion: select count(*) from orders',
    measure: 'answer',
    expected: '2',
    found: '2',
    ok: true,
  });
  expect(checks[1]).toMatchObject({ expected: 'at least 3', found: '2' });
  expect(checks[7].found).toMatch(/^error: .*no such table/);
});

test('a copy that takes no queries fails the assertion with the reason', async () => {
  expect(found(await check(plain, sql('select 1', { equals: '1' })))).toEqual([
    [false, '1', 'error: the driver of this source takes no queries; use command: or http:'],
  ]);
});

test('programs find the copy in their environment; their status and what they print are judged', async () => {
  await using copy = await restoredShop();
  const checks = await check(
    copy,
    program('test -s "$HOLDFAST_COPY"'),
    program('echo wrong >&2; exit 3'),
    program('exit 3', { status: 3 }),
    program('head -c 15 "$HOLDFAST_COPY"', { expect: { equals: 'SQLite format 3' } }),
    program('echo 41', { expect: { atLeast: 42 } }),
    { command: ['holdfast-no-such-program'], status: 0, timeoutMs },
    program('sleep 600', { timeoutMs: 200 }),
    program('kill -KILL $$'),
  );
  expect(found(checks)).toEqual([
    [true, '0', '0'],
    [false, '0', 'ended with status 3: wrong'],
    [true, '3', '3'],
    [true, 'SQLite format 3', 'SQLite format 3'],
    [false, 'at least 42', '41'],
    [
      false,
      '0',
      'error: the program holdfast-no-such-program was not found (or the directory '.concat(folder, ' is missing)'),
    ],
    [false, '0', 'error: sh did not end within 0.2 s and was killed'],
    [false, '0', 'was killed by SIGKILL'],
  ]);
});

test('no program is run that would ask the source instead of the copy', async () => {
  const touched = join(folder, 'touched');
  const apart = await check({ environment: {}, isApart: true }, program(`touch ${touched}`));
  expect(found(apart)).toEqual([
    [false, '0', expect.stringMatching(/^error: the copy runs in a container.*ask with sql:/)],
  ]);
  const copy = { environment: { HOLDFAST_COPY_SOCKET: '/s' }, clients: ['redis-cli'] };
  const checks = await check(
    copy,
    program(`touch ${touched}; redis-cli dbsize`),
    program(`echo /usr/bin/redis-cli; touch ${touched}`),
    program('echo redis-cli -s "$HOLDFAST_COPY_SOCKET"', { expect: { equals: 'redis-cli -s /s' } }),
    program('echo my-redis-cli.txt'),
  );
  expect(checks.map(({ ok }) => ok)).toEqual([false, false, true, true]);
  expect(checks[0].found).toMatch(/redis-cli would ask the default server of this machine.*HOLDFAST_COPY_SOCKET/);
  expect(existsSync(touched)).toBe(false);
});

test('a service of the copy is asked over HTTP, with the names of its environment, and only on this machine', async () => {
  const copy = { environment: { PORT: port } };
  const base = `http://127.0.0.1:\${PORT}`;
  const checks = await check(
    copy,
    http(`${base}/health`, { expect: { matches: 'green' } }),
    http(`${base}/health`, { expect: { equals: '{"status":"red"}' } }),
    http(`${base}/other`, { status: 404 }),
    http(`${base}/away`),
    http(`${base}/silent`, { timeoutMs: 200 }),
    http(`http://localhost:\${PGPORT}/`),
    http('http://example.org/'),
    http('file:///etc/passwd'),
    http('http://127.0.0.1:1/'),
  );
  expect(found(checks)).toEqual([
    [true, 'matches /green/', '{"status":"green"}'],
    [false, '{"status":"red"}', '{"status":"green"}'],
    [false, '404', '200'],
    [false, '200', '302'],
    [false, '200', 'error: no answer within 0.2 s'],
    [false, '200', 'error: the copy has no variable PGPORT (it has: PORT)'],
    [false, '200', 'error: example.org is not this machine (localhost, 127.0.0.1, [::1])'],
    [false, '200', 'error: «file:///etc/passwd» is no URL of http'],
    [false, '200', expect.stringMatching(/^error: http:\/\/127.0.0.1:1 does not answer/)],
  ]);
});

test('a drill that is cancelled is no failed assertion', async () => {
  const stop = new AbortController();
  const source = { clock: systemClock, signal: stop.signal };
  const asked = checkAssertions([program(`touch ${folder}/begun; sleep 600`)], {
    ...{ copy: plain, source },
    throwaway: { directory: folder, host },
  });
  asked.catch(() => {});
  await expect.poll(() => existsSync(join(folder, 'begun'))).toBe(true);
  stop.abort();
  await expect(asked).rejects.toMatchObject({ code: 'cancelled' });
});
