/** Programs and cut connections of the SSH host against a real sshd. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { output } from '../../src/hosts/conformance/case.ts';
import { startEchoServer } from '../../src/hosts/conformance/echo-server.ts';
import { type Sshd, startSshd } from '../servers/sshd.ts';
import { endProcess } from '../support/end-process.ts';
import { commandLines, drain, mkdtempIn, openHost, ownSshd, settingsOf, text } from '../support/ssh-hosts.ts';

let sshd: Sshd;
let folder: string;

beforeAll(async () => {
  sshd = await startSshd();
  folder = mkdtempSync(join(tmpdir(), 'holdfast-ssh-'));
});

afterAll(async () => {
  await sshd[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

describe('a connection that is cut', () => {
  const cut = (server: Sshd): void => {
    for (const id of server.serving()) endProcess(id);
  };

  test('in the middle of a stream gives an error, never a short stream; the next command connects again', async () => {
    const server = await ownSshd();
    const host = await openHost(settingsOf(server));
    const program = await host.run({ argv: ['cat', '/dev/zero'] });
    const read = async (): Promise<void> => {
      let length = 0;
      for await (const chunk of program.stdout) {
        if (length === 0) cut(server);
        length += chunk.length;
      }
    };
    await expect(read()).rejects.toMatchObject({ code: 'host.unreachable', retry: 'later' });
    await expect(program.exit).rejects.toMatchObject({ code: 'host.unreachable' });
    await expect(program.write('x')).rejects.toMatchObject({ code: 'host.unreachable' });
    expect((await output(host, { argv: ['echo', 'again'] })).stdout).toBe('again\n');
    expect((await host.files.attributes('/')).type).toBe('dir');
  });

  test('while a program is silent, while a file is read, and under a forwarded stream', async () => {
    const server = await ownSshd();
    const host = await openHost(settingsOf(server));
    const path = join(folder, 'large');
    writeFileSync(path, Buffer.alloc(32 << 20, 'x'));
    await using echo = await startEchoServer(mkdtempIn(folder));
    const seconds = String(2_000_000 + process.pid);
    const program = await host.run({ argv: ['sleep', seconds] });
    const silent = drain(program.stdout);
    const reader = await host.files.open(path);
    const buffer = Buffer.alloc(1 << 20);
    await reader.read(buffer);
    const stream = await host.connect(echo.echo[0]);
    stream.write('hello');
    const streamed = drain(stream);
    cut(server);
    await expect(silent).rejects.toMatchObject({ code: 'host.unreachable' });
    await expect(streamed).rejects.toMatchObject({ code: 'host.unreachable' });
    const rest = async (): Promise<void> => {
      while ((await reader.read(buffer)) > 0);
    };
    await expect(rest()).rejects.toMatchObject({ code: 'host.unreachable' });
    await reader.close();
    expect(await host.files.list('/', () => {})).not.toHaveLength(0);
    await gone(seconds);
  });

  test('while a file is written leaves an error', async () => {
    const server = await ownSshd();
    const host = await openHost(settingsOf(server));
    await using target = await host.openTarget(mkdtempIn(folder), 'refuse');
    const directory = join(folder, 'written');
    mkdirSync(directory);
    await using inside = await host.openTarget(directory, 'refuse');
    const writer = await inside.createFile(`${directory}/file`, 64 << 20);
    await writer.writeAt(Buffer.alloc(1 << 20, 'x'), 0);
    cut(server);
    const write = async (): Promise<void> => {
      for (let at = 1; at < 64; at++) await writer.writeAt(Buffer.alloc(1 << 20, 'x'), at << 20);
      await writer.close();
    };
    await expect(write()).rejects.toMatchObject({ code: 'host.unreachable' });
    expect(target).toBeDefined();
  });

  test('while a program waits to be read and to be written to fails both', async () => {
    const server = await ownSshd();
    const host = await openHost(settingsOf(server));
    await using echo = await startEchoServer(mkdtempIn(folder));
    const program = await host.run({ argv: ['cat'] });
    const stream = await host.connect(echo.echo[0]);
    stream.pause();
    let written = 0;
    const write = async (): Promise<void> => {
      for (;;) {
        await program.write(Buffer.alloc(1 << 18));
        written++;
      }
    };
    const writing = write();
    const blocked = new Promise<unknown>((resolve) => stream.on('error', resolve));
    for (let at = 0; at < 64; at++) stream.write(Buffer.alloc(1 << 18));
    for (let before = -1; before !== written; ) {
      before = written;
      await sleep(200);
    }
    cut(server);
    await expect(writing).rejects.toMatchObject({ code: 'host.unreachable' });
    expect(await blocked).toMatchObject({ code: 'host.unreachable' });
    await expect(drain(program.stdout)).rejects.toMatchObject({ code: 'host.unreachable' });
    await expect(program.exit).rejects.toMatchObject({ code: 'host.unreachable' });
  });

  test('and does not come back is an error of the next command', async () => {
    const server = await ownSshd();
    const host = await openHost(settingsOf(server));
    await server.stop();
    await expect(host.run({ argv: ['true'] })).rejects.toMatchObject({ code: 'host.unreachable' });
    await server.start();
    expect((await output(host, { argv: ['true'] })).status).toBe(0);
  });
});

describe('programs', () => {
  test('neither their variables nor their arguments are in any command line but their own', async () => {
    const host = await openHost(settingsOf(sshd));
    const secret = `s3cret'"\\ $x\n\x01ü${randomBytes(8).toString('hex')}`;
    const part = secret.slice(-16);
    const lines = new Set<string>();
    let looking = true;
    const look = async (): Promise<void> => {
      while (looking) {
        for (const line of commandLines()) lines.add(line);
        await sleep(1);
      }
    };
    const looked = look();
    for (let turn = 0; turn < 5; turn++) {
      const argv = ['sh', '-c', 'printf %s "$DEEP_SECRET"; sleep 0.05'];
      expect((await output(host, { argv, env: { DEEP_SECRET: secret } })).stdout).toBe(secret);
    }
    looking = false;
    await looked;
    expect([...lines].some((line) => line.includes('sleep'))).toBe(true);
    expect([...lines].filter((line) => line.includes(part))).toEqual([]);
    expect(sshd.log()).not.toContain(part);
  });

  test('get their input whole, whatever was read before them', async () => {
    const host = await openHost(settingsOf(sshd));
    const program = await host.run({ argv: ['head', '-c', '12'], env: { A: 'b\nc' }, cwd: '/' });
    await program.write('first\nsecond');
    await program.endInput();
    expect(await text(program.stdout)).toBe('first\nsecond');
  });

  test('that ended without reading fail whoever writes, though nobody has read their output yet', async () => {
    const host = await openHost(settingsOf(sshd));
    const program = await host.run({ argv: ['head', '-c', '2500000', '/dev/zero'] });
    const write = async (): Promise<void> => {
      for (;;) await program.write(Buffer.alloc(1 << 18));
    };
    await expect(write()).rejects.toMatchObject({ code: 'host.command-failed' });
    let length = 0;
    for await (const chunk of program.stdout) length += chunk.length;
    expect(length).toBe(2_500_000);
    expect((await program.exit).status).toBe(0);
  });

  test('more than the server allows sessions for on one connection all run', async () => {
    const server = await ownSshd({ config: ['MaxSessions 2'] });
    const host = await openHost(settingsOf(server));
    const programs = await Promise.all(Array.from({ length: 6 }, () => host.run({ argv: ['cat'] })));
    await Promise.all(programs.map((program) => program.endInput()));
    expect((await Promise.all(programs.map((program) => program.exit))).map(({ status }) => status)).toEqual(
      programs.map(() => 0),
    );
    const many = Array.from({ length: 30 }, (_, at) => output(host, { argv: ['echo', String(at)] }));
    expect((await Promise.all(many)).map(({ stdout }) => Number(stdout))).toEqual(many.map((_, at) => at));
  });

  test('can be killed where the server allows one session for each connection', async () => {
    const server = await ownSshd({ config: ['MaxSessions 1'] });
    const host = await openHost(settingsOf(server));
    const program = await host.run({ argv: ['sleep', '1000'] });
    program.kill();
    expect((await program.exit).status).toBeNull();
    expect((await host.files.attributes('/')).type).toBe('dir');
  });

  test('of any number share one connection', async () => {
    const server = await ownSshd();
    const host = await openHost(settingsOf(server));
    await Promise.all(Array.from({ length: 5 }, () => output(host, { argv: ['true'] })));
    await host.files.list('/', () => {});
    expect(server.log().match(/Accepted publickey/g)).toHaveLength(1);
  });

  test('what the login files of a shell print is no part of their output', async () => {
    const shell = join(folder, 'noisy-shell');
    writeFileSync(shell, '#!/bin/sh\necho welcome\necho beware >&2\nexec /bin/sh "$@"\n', { mode: 0o755 });
    const server = await ownSshd({ config: [`ForceCommand ${shell} -c "$SSH_ORIGINAL_COMMAND"`] });
    const host = await openHost(settingsOf(server));
    expect(await output(host, { argv: ['sh', '-c', 'echo out; echo err >&2'] })).toEqual({
      ...{ stdout: 'out\n', stderr: 'err\n', status: 0 },
    });
  });

  test('a directory that is missing, and a name no shell has, are told', async () => {
    const host = await openHost(settingsOf(sshd));
    await expect(host.run({ argv: ['true'], cwd: '/missing' })).rejects.toMatchObject({
      message: /\/missing is missing/,
    });
    await expect(host.run({ argv: ['true'], env: { 'a-b': '' } })).rejects.toMatchObject({ message: /a-b/ });
    await expect(host.run({ argv: ['/missing/program'] })).rejects.toMatchObject({ code: 'host.command-missing' });
  });

  test('that are cancelled before they began give their sessions back', async () => {
    const server = await ownSshd({ config: ['MaxSessions 1'] });
    const host = await openHost(settingsOf(server));
    for (let turn = 0; turn < 12; turn++) {
      const stop = new AbortController();
      const starting = host.run({ argv: ['sleep', '1000'], signal: stop.signal });
      if (turn % 2 === 0) stop.abort();
      else setTimeout(() => stop.abort(), turn * 5);
      await starting
        .then((program) => program.exit)
        .catch((error: unknown) => expect(error).toMatchObject({ code: 'cancelled' }));
    }
    expect((await output(host, { argv: ['echo', 'free'] })).stdout).toBe('free\n');
  });

  test('leave nothing running when they are cancelled before they began', async () => {
    const host = await openHost(settingsOf(sshd));
    const seconds = 1_000_000 + process.pid;
    const stop = new AbortController();
    const starting = host.run({ argv: ['sleep', String(seconds)], signal: stop.signal });
    stop.abort();
    await starting
      .then((program) => program.exit)
      .catch((error: unknown) => expect(error).toMatchObject({ code: 'cancelled' }));
    await gone(String(seconds));
  });
});

/** Waits until no command line has this argument. */
async function gone(argument: string): Promise<void> {
  const lines = (): string[] => commandLines().filter((line) => line.includes(argument));
  for (let attempt = 0; attempt < 200 && lines().length > 0; attempt++) await sleep(50);
  expect(lines()).toEqual([]);
}
