/** A repository across a network describes itself: its address, its password and what signs in to the server are enough. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { program, Trial } from '../e2e/trial.ts';
import { type RcloneServer, startRclone } from '../servers/rclone.ts';
import { type S3Server, startMoto } from '../servers/s3-moto.ts';
import { type Sshd, startSshd } from '../servers/sshd.ts';

const password = 'correct horse battery';
const serverSecret = 'only-for-the-server';

let trial: Trial;
let sshd: Sshd;
let rclone: RcloneServer;
let webdav: RcloneServer;
let moto: S3Server;

beforeAll(async () => {
  trial = new Trial();
  for (const store of ['store', 'cloud']) mkdirSync(trial.path(store));
  [sshd, rclone, webdav, moto] = await Promise.all([
    startSshd(),
    startRclone({ protocol: 'restic', directory: trial.path('store'), user: 'me', password: serverSecret }),
    startRclone({ protocol: 'webdav', directory: trial.path('cloud'), user: 'me', password: serverSecret }),
    startMoto(),
  ]);
});

afterAll(async () => {
  for (const server of [sshd, rclone, webdav, moto]) await server?.[Symbol.asyncDispose]();
  trial.dispose();
});

interface Place {
  readonly url: string;
  readonly settings: string;
  /** What is there on the new machine before Holdfast is. */
  readonly prepare: () => void;
  readonly env: Readonly<Record<string, string>>;
}

/** Those whose server wants a secret that is in a file. */
const signedIn = ['s3', 'rest', 'webdav'];
const nothing = (): void => undefined;
const places: Readonly<Record<string, () => Place>> = {
  local: () => ({ url: trial.path('disk/repository'), settings: '', prepare: nothing, env: {} }),
  sftp: () => ({
    url: `sftp://${sshd.user}@127.0.0.1:${sshd.port}/${trial.path('far')}`,
    settings: `, sftp: { key: { file: ${sshd.key} }, knownHosts: ${sshd.knownHosts} }`,
    // The address alone cannot say which key signs in: a configuration with the repository alone does.
    prepare: () => writeFileSync(trial.path('holdfast.yaml'), seed('sftp')),
    env: {},
  }),
  rest: () => ({
    url: `rest:http://127.0.0.1:${rclone.port}/team/`,
    settings: `, rest: { user: me, password: { file: ${trial.path('secrets/rest')} } }`,
    prepare: nothing,
    env: { RESTIC_REST_USERNAME: 'me', RESTIC_REST_PASSWORD: serverSecret },
  }),
  webdav: () => ({
    url: `webdav:http://127.0.0.1:${webdav.port}/team/`,
    settings: `, webdav: { user: me, password: { file: ${trial.path('secrets/webdav')} } }`,
    prepare: nothing,
    env: { HOLDFAST_WEBDAV_USER: 'me', HOLDFAST_WEBDAV_PASSWORD: serverSecret },
  }),
  s3: () => ({
    url: `s3:${moto.endpoint}/bucket/prefix`,
    settings: `, s3: { accessKeyId: id, secretAccessKey: { file: ${trial.path('secrets/s3')} }, region: us-east-1 }`,
    prepare: nothing,
    env: { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: serverSecret, AWS_REGION: 'us-east-1' },
  }),
};

function seed(name: string): string {
  const { url, settings } = places[name]();
  return `repositories:\n  far: { url: "${url}", password: { file: ${trial.path('secrets/repository')} }${settings} }\n`;
}

function holdfast(input: string, env: Place['env'], ...args: readonly string[]): string {
  const options = { cwd: trial.folder, env: { ...trial.env, ...env }, input, encoding: 'utf8' } as const;
  const { status, stdout, stderr } = spawnSync(program, args, options);
  expect([args, status, stderr]).toEqual([args, 0, expect.any(String)]);
  for (const secret of [password, serverSecret]) expect(stdout + stderr).not.toContain(secret);
  return stdout;
}

/** The one that needs a seed and the one whose keys come from the environment; SLOW=1 takes all of them. */
const tried = process.env.SLOW === undefined ? ['sftp', 's3'] : Object.keys(places);

test.each(tried)('%s', async (name) => {
  const place = places[name]();
  trial.write('srv/file', `of ${name}\n`);
  for (const secret of signedIn) trial.write(`secrets/${secret}`, serverSecret);
  trial.write('secrets/repository', password);
  const yaml = `${seed(name)}sources:\n  data: { driver: files, paths: [${trial.path('srv')}], repository: far }  # mine\n`;
  trial.write('holdfast.yaml', yaml);
  await trial.ok('repo', 'init', 'far');
  await trial.ok('backup', 'data');
  await trial.ok('drill', 'data');
  const proofs = await trial.json('proofs');
  const kit = await trial.ok('repo', 'recovery-kit', 'far');
  expect(kit).not.toMatch(new RegExp(`${password}|${serverSecret}`));

  for (const lost of ['srv', 'secrets', 'home', 'holdfast.yaml']) rmSync(trial.path(lost), { recursive: true });
  mkdirSync(trial.path('home'));
  mkdirSync(trial.path('secrets'));
  place.prepare();
  if (name === 'sftp') trial.write('secrets/repository', password);
  const said = holdfast(`${password}\n`, place.env, 'init', '--from', name === 'sftp' ? 'far' : place.url);
  expect(said).toContain('1 proof');
  expect(readFileSync(trial.path('holdfast.yaml'), 'utf8')).toBe(yaml);
  if (signedIn.includes(name)) {
    expect(said).toContain(`${trial.path('secrets', name)}: has to be provided again`);
    trial.write(`secrets/${name}`, serverSecret);
  }
  expect(readFileSync(trial.path('secrets/repository'), 'utf8').trim()).toBe(password);
  expect(await trial.json('proofs')).toEqual(proofs);
  await trial.ok('restore', 'data', '--in-place');
  expect(readFileSync(trial.path('srv/file'), 'utf8')).toBe(`of ${name}\n`);

  // The kit's own commands, up to the first restore.
  const boxes = [...kit.split('## With Holdfast')[0].matchAll(/```sh\n([\s\S]*?)\n```/g)].map(([, box]) => box);
  const secrets = signedIn.includes(name) ? `${password}\n${serverSecret}\n` : `${password}\n`;
  const script = ['set -e', ...boxes.slice(0, -1)].join('\n').replaceAll('restic ', 'restic --no-cache ');
  const shell = spawnSync('sh', ['-c', script], {
    cwd: trial.folder,
    env: trial.env,
    input: secrets,
    encoding: 'utf8',
  });
  expect([shell.status, shell.stderr]).toEqual([0, expect.any(String)]);
  expect(readFileSync(trial.path(`home/recovery/data${trial.path('srv/file')}`), 'utf8')).toBe(`of ${name}\n`);
});
