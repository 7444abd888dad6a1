/** `holdfast worker` as a program, on a PostgreSQL that asks for a password. */
import type { ChildProcess } from 'node:child_process';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { openCatalogue } from '../../src/catalogue/open.ts';
import { listRuns } from '../../src/catalogue/run-list.ts';
import { getRun, insertRun } from '../../src/catalogue/runs.ts';
import { openPgBossQueue } from '../../src/runs/queue/pg-boss-queue.ts';
import { Trial } from '../e2e/trial.ts';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { initCheaply } from '../support/cheap-repository.ts';

// With what would be read in another way in a URL.
const password = 'ge/he:im@%42 ?#';
const trial = new Trial();
let server: PostgresServer;

beforeAll(async () => {
  const repository = initCheaply(trial.path('repo'), 'pw');
  // A sign-in that is not brought to its end is not ended by the server while a test waits.
  server = await startPostgres({ password, options: { authentication_timeout: '600s' } });
  await server.run('postgres', 'CREATE DATABASE catalogue');
  trial.write('right', password);
  trial.write('wrong', 'hard-to-guess');
  trial.write('pw', 'pw');
  await repository;
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  trial.dispose();
});

function declare(names: readonly string[], given: string): void {
  const sources = names.map((name) => `  ${name}: { driver: command, shell: "echo ${name}", repository: main }`);
  trial.write(
    'holdfast.yaml',
    `server: { catalogue: { postgres: "${server.url('catalogue')}"${given} } }
repositories: { main: { url: ./repo, password: { file: ./pw } } }
sources:
${sources.join('\n')}
`,
  );
}

test.each([
  ['none is given', '', 'its server asks for a password, and none is given'],
  ['it is the wrong one', ', password: { file: ./wrong }', 'password authentication failed for user "postgres"'],
])('a command ends and says what to do where %s', async (_, given, said) => {
  declare(['one'], given);
  const { status, stderr } = await trial.run(['runs', 'list']);
  expect(status).toBe(1);
  expect(stderr).toContain(said);
  expect(stderr).toContain('password: { env: NAME }');
  expect(stderr).not.toContain('hard-to-guess');
});

test.each([
  ['none is given', undefined, 'its server asks for a password, and none is given'],
  ['it is the wrong one', 'hard-to-guess', 'password authentication failed for user "postgres"'],
])('the queue ends and says so where %s, and leaves no connection that keeps the process', async (_, given, said) => {
  const sockets = () => process.getActiveResourcesInfo().filter((one) => one === 'TCPSocketWrap').length;
  const before = sockets();
  const log = { warn: () => undefined };
  const opening = openPgBossQueue({ url: server.url('postgres'), password: given, clock: systemClock, log });
  await expect(opening).rejects.toMatchObject({
    code: 'catalogue.unreachable',
    message: expect.stringContaining(said),
  });
  await vi.waitFor(() => expect(sockets()).toBe(before), { timeout: 10_000, interval: 20 });
});

test('a worker takes runs over the queue in it, and of a configuration that was changed meanwhile', async () => {
  declare(['one'], ', password: { file: ./right }');
  const url = server.url('catalogue');
  await using catalogue = await openCatalogue({ kind: 'postgres', url, password }, Date.now);
  let worker: ChildProcess | undefined;
  let said = '';
  const ended = trial.run(['worker', '--capacity', '1'], (child) => {
    worker = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (text: string) => {
        said += text;
      });
    }
  });
  try {
    const ask = (source: string) =>
      insertRun(catalogue, { kind: 'backup', source, host: 'local', trigger: 'manual', askedBy: 'anna' });
    const { id } = await ask('one');
    const patience = { timeout: 60_000, interval: 50 };
    await vi.waitFor(async () => expect(await getRun(catalogue, id)).toMatchObject({ state: 'succeeded' }), patience);
    declare(['one', 'two'], ', password: { file: ./right }');
    await vi.waitFor(async () => {
      const [newest] = (await listRuns(catalogue, { source: 'two' }, { limit: 1 })).runs;
      // Until it is read, the name is not known.
      if (newest === undefined || newest.state === 'failed') await ask('two');
      expect(newest).toMatchObject({ state: 'succeeded' });
    }, patience);
  } finally {
    worker?.kill('SIGTERM');
  }
  expect((await ended).status, said).toBe(0);
  expect(said).not.toContain(password);
});
