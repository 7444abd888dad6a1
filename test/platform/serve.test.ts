import { existsSync, readFileSync, statSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Serving } from '../support/serving.ts';

const serving = new Serving(
  `
repositories: { main: { url: FOLDER/repo, password: { env: PW } } }
sources: { notes: { driver: files, paths: [FOLDER/notes], repository: main } }
`,
  { PW: 'pw' },
);

beforeAll(async () => {
  serving.write('notes/a.txt', 'a note');
  await serving.start();
});

afterAll(() => serving.dispose());

/** As a browser that loaded a page of the server. */
function browser(body: object, cookie?: string): RequestInit {
  const headers = { 'sec-fetch-site': 'same-origin', ...(cookie ? { cookie } : {}) };
  return { method: 'POST', body: JSON.stringify(body), headers };
}

it('says at its first page, which is plain text, how it is asked, and prints an address that is there', async () => {
  const response = await serving.ask('/');
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8');
  expect(await response.text()).toMatch(/has no pages.*openapi\.json.*user add NAME --role owner/s);
  const printed = /POST to (\S+) /.exec(serving.output)?.[1];
  expect((await serving.ask(new URL(String(printed)).pathname)).status).toBe(405);
});

describe('the first owner', () => {
  it('is made with the code that the server printed, once', async () => {
    expect(await serving.json('/api/sign-in')).toEqual({ setUpNeeded: true });
    const code = /set-up code (\S+)/.exec(serving.output)?.[1] ?? '';
    const owner = { name: 'anna', password: 'a long enough pass phrase 7' };
    expect((await serving.ask('/api/set-up', browser({ ...owner, code: 'AAAAA-BBBBB-CCCCC-DDDDD' }))).status).toBe(401);
    const body = JSON.stringify({ ...owner, code });
    for (const headers of [{ origin: 'https://evil.example' }, { 'sec-fetch-site': 'cross-site' }, { cookie: 'a=b' }]) {
      expect((await serving.ask('/api/set-up', { method: 'POST', body, headers })).status).toBe(403);
    }
    // As curl sends it.
    const response = await serving.ask('/api/set-up', { method: 'POST', body });
    expect(response.status).toBe(200);
    const cookie = response.headers.getSetCookie()[0].split(';')[0];
    expect(response.headers.getSetCookie()[0]).toMatch(/HttpOnly; SameSite=Strict/);
    expect(await serving.json('/api/me', { headers: { cookie } })).toMatchObject({
      name: 'anna',
      roles: { '*': 'owner' },
    });
    expect((await serving.ask('/api/set-up', browser({ ...owner, code }))).status).toBe(403);
    expect(await serving.json('/api/sign-in')).toEqual({ setUpNeeded: false });
  });

  it('signs in, sees the sessions, and signs out', async () => {
    const wrong = await serving.ask('/api/sign-in/password', browser({ name: 'anna', password: 'wrong' }));
    expect(wrong.status).toBe(401);
    const response = await serving.ask(
      '/api/sign-in/password',
      browser({ name: 'anna', password: 'a long enough pass phrase 7' }),
    );
    expect(response.status).toBe(200);
    const cookie = response.headers.getSetCookie()[0].split(';')[0];
    const { sessions } = await serving.json<{ sessions: { current: boolean }[] }>('/api/me/sessions', {
      headers: { cookie },
    });
    expect(sessions.filter((one) => one.current)).toHaveLength(1);
    expect((await serving.ask('/api/sign-out', { method: 'POST', headers: { cookie } })).status).toBe(403);
    expect((await serving.ask('/api/sign-out', browser({}, cookie))).status).toBe(204);
    expect((await serving.ask('/api/me', { headers: { cookie } })).status).toBe(401);
  });

  it('is asked for by no page of another site', async () => {
    const headers = { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' };
    const body = JSON.stringify({ name: 'anna', password: 'a long enough pass phrase 7' });
    expect((await serving.ask('/api/sign-in/password', { method: 'POST', body, headers })).status).toBe(403);
  });
});

describe('the server', () => {
  it('keeps what it knows where only its user reads it', () => {
    expect(statSync(serving.path('catalogue.db')).mode & 0o077).toBe(0);
    expect(statSync(serving.path('state/server.key')).mode & 0o077).toBe(0);
    expect(existsSync(serving.path('repo'))).toBe(false);
  });

  it('says where it listens when somebody else does already', async () => {
    const { port } = new URL(serving.url);
    const { status, stderr } = await serving.run(['serve', '--listen', port]);
    expect(status).not.toBe(0);
    expect(stderr).toContain(`127.0.0.1:${port}`);
  });

  it('sends events as they happen, and ends the stream when the token is of no use any more or it stops', async () => {
    const { token } = await serving.person('viewer');
    const abort = new AbortController();
    const response = await fetch(`${serving.url}/api/events/stream`, {
      headers: { authorization: `Bearer ${token}` },
      signal: abort.signal,
    });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    const until = async (from: typeof reader, wanted: string): Promise<string> => {
      let text = '';
      while (!text.includes(wanted)) text += (await from.read()).value;
      return text;
    };
    expect(await until(reader, '\n\n')).toMatch(/^retry: 3000\n\n/);
    const { recordHappening } = await import('../../src/catalogue/happenings.ts');
    const event = { type: 'notification.test', title: 'hello', facts: {} } as const;
    const made = await recordHappening(await serving.catalogue(), event);
    await until(reader, `id: ${made.id}\nevent: notification.test\ndata: {`);
    const again = await fetch(`${serving.url}/api/events/stream`, {
      headers: { authorization: `Bearer ${token}`, 'last-event-id': '00000000000000000000000000' },
    });
    const second = again.body!.pipeThrough(new TextDecoderStream()).getReader();
    await until(second, made.id);
    const stopped = serving.stop();
    for (const one of [reader, second]) {
      while (!(await one.read()).done);
    }
    expect(await stopped).toBe(0);
    abort.abort();
  });

  it('ends with 0 when it is told to stop, and starts again on what it knew', async () => {
    await serving.start();
    expect(await serving.json('/api/sign-in')).toEqual({ setUpNeeded: false });
    expect(await serving.stop('SIGINT')).toBe(0);
    expect(serving.output).not.toContain('"level":50');
  });

  it('refuses to start with another key than what it sealed secrets with', async () => {
    const key = readFileSync(serving.path('state/server.key'));
    serving.write('state/server.key', Buffer.alloc(32, 1).toString('base64'));
    const { status, stderr } = await serving.run(['serve']);
    serving.write('state/server.key', key.toString());
    expect(status).not.toBe(0);
    expect(stderr).toContain('server.key');
  });
});
