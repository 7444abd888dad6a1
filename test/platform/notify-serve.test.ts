/** The whole program tells what its runs came to, beside a mail server that hangs. */
import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { insertRun } from '../../src/catalogue/runs.ts';
import { type Received, Receiver } from '../servers/receiver.ts';
import { startSilent } from '../servers/smtp.ts';
import { Serving } from '../support/serving.ts';

const key = Buffer.from('0123456789abcdef0123456789abcdef');
const secrets = {
  PW: 'repository-password',
  WH: `whsec_${key.toString('base64')}`,
  H: 'Bearer header-secret',
  M: 'mail-password',
};
const patience = { timeout: 60_000, interval: 50 };
let receiver: Receiver;
let silent: Awaited<ReturnType<typeof startSilent>>;
let serving: Serving;

beforeAll(async () => {
  receiver = await Receiver.start();
  silent = await startSilent('connect');
  serving = new Serving(
    `
repositories: { main: { url: FOLDER/repo, password: { env: PW } } }
sources: { notes: { driver: files, paths: [FOLDER/notes], repository: main } }
notifications:
  program: { webhook: "${receiver.url}/hook", secret: { env: WH }, headers: { Authorization: { env: H } }, on: ["*"] }
  check: { healthchecks: "${receiver.url}/check", sources: [notes] }
  alive: { healthchecks: "${receiver.url}/alive", heartbeatMinutes: 1 }
  hanging:
    email: { smtp: "smtp://anna@127.0.0.1:${silent.port}", password: { env: M }, starttls: never, from: a@example.com, to: b@example.com }
    on: ["*"]
`,
    secrets,
  );
  serving.write('notes/a.txt', 'a note');
  await serving.start();
});

afterAll(async () => {
  await serving?.dispose();
  await receiver?.[Symbol.asyncDispose]();
  await silent?.[Symbol.asyncDispose]();
});

interface Payload {
  readonly type: string;
  readonly data: {
    readonly id: string;
    readonly source?: string;
    readonly recovered: boolean;
    readonly errorCode?: string;
  };
}

const to = (path: string): Received[] => receiver.received.filter((one) => one.path.startsWith(path));
const events = (): Payload[] => to('/hook').map(({ body }) => JSON.parse(body) as Payload);
const isSigned = ({ headers, body }: Received): boolean => {
  const mac = createHmac('sha256', key).update(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`);
  return headers['webhook-signature'] === `v1,${mac.digest('base64')}`;
};

async function backUp(): Promise<void> {
  const run = {
    kind: 'backup',
    source: 'notes',
    repository: 'main',
    host: 'local',
    trigger: 'manual',
    askedBy: 'anna',
  } as const;
  await insertRun(await serving.catalogue(), run);
}

test('a failure, then the success that ends it; signed, once each, without secrets; and that it is alive', async () => {
  await vi.waitFor(() => expect(to('/alive')).toHaveLength(1), patience);
  await backUp();
  await vi.waitFor(() => expect(events().map(({ type }) => type)).toContain('backup.failed'), patience);
  await serving.ok('repo', 'init', 'main');
  await backUp();
  await vi.waitFor(() => expect(events().map(({ type }) => type)).toContain('backup.succeeded'), patience);
  const [failed] = events().filter(({ type }) => type === 'backup.failed');
  expect(failed.data).toMatchObject({ source: 'notes', errorCode: 'storage.not-found', recovered: false });
  expect(events().find(({ type }) => type === 'backup.succeeded')!.data).toMatchObject({
    source: 'notes',
    recovered: true,
  });
  expect(to('/hook').every(isSigned)).toBe(true);
  const ids = events().map(({ data }) => data.id);
  expect(new Set(ids).size).toBe(ids.length);
  // A run that is over quickly may have no start.
  const pings = (): string[] =>
    to('/check')
      .map(({ path }) => path.replace(/\?.*/, ''))
      .filter((path) => path !== '/check/start');
  await vi.waitFor(() => expect(pings()).toEqual(['/check/fail', '/check']), patience);

  const told = [
    serving.output,
    ...receiver.received.map(({ body }) => body),
    await serving.ok('notify', 'list', '--json'),
  ].join('\n');
  for (const secret of [...Object.values(secrets), key.toString('base64'), 'header-secret'])
    expect(told).not.toContain(secret);
});

test('notify test says which channels work, and list what became of what was told', async () => {
  const { status, stdout } = await serving.run(['notify', 'test', 'program', '--json']);
  expect({ status, ...(JSON.parse(stdout) as object) }).toMatchObject({
    status: 0,
    ok: true,
    channels: [{ name: 'program', ok: true }],
  });
  expect(events().at(-1)!.type).toBe('notification.test');
  receiver.answer = () => ({ status: 401, body: `${secrets.H} is wrong` });
  const refused = await serving.run(['notify', 'test', 'program']);
  expect(refused.status).toBe(1);
  expect(refused.stdout).toContain('answered with status 401: [secret] is wrong');
  expect(refused.stdout).toContain('Check the signing secret and the headers on both sides.');
  receiver.answer = () => ({ status: 200 });
  const { deliveries } = JSON.parse(await serving.ok('notify', 'list', '--channel', 'hanging', '--json')) as {
    deliveries: { state: string }[];
  };
  expect(deliveries.length).toBeGreaterThan(0);
  expect(deliveries.every(({ state }) => state === 'waiting')).toBe(true);
});
