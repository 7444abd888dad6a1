/** Every answer of an SFTP server is lost once: what was stored until then is whole, and nothing is left beside it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex, Transform } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Clock } from '../../src/base/clock.ts';
import { systemClock } from '../../src/base/clock.ts';
import { body } from '../../src/storage/conformance/case.ts';
import { Directory } from '../../src/storage/sftp/directory.ts';
import { type Connection, Sessions } from '../../src/storage/sftp/sessions.ts';
import { SftpStorage } from '../../src/storage/sftp/sftp-storage.ts';

/** OpenSSH's own, without the network in front of it. */
const program = '/usr/lib/openssh/sftp-server';
const impatient: Clock = { ...systemClock, sleep: async () => {} };

let base: string;
beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), 'holdfast-sftp-lost-'));
});
afterAll(() => rmSync(base, { recursive: true }));

interface Loss {
  /** Packets of the server that still arrive. */
  after: number;
  happened: boolean;
}

/** Passes packets of the server on, and ends instead of the one that is lost. */
function losing(loss: Loss): Transform {
  let waiting = Buffer.alloc(0);
  let passed = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      waiting = Buffer.concat([waiting, chunk]);
      while (waiting.length >= 4 && waiting.length >= 4 + waiting.readUInt32BE()) {
        if (passed++ === loss.after) {
          loss.happened = true;
          this.push(null);
          return done();
        }
        const length = 4 + waiting.readUInt32BE();
        this.push(waiting.subarray(0, length));
        waiting = waiting.subarray(length);
      }
      done();
    },
  });
}

/** Sessions of which the first loses an answer. */
function sessionsWith(loss: Loss): { sessions: Sessions; endServers: () => void } {
  const servers: ChildProcess[] = [];
  const connection: Connection = {
    close: () => {},
    session: async () => {
      const server = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
      const answers = servers.push(server) === 1 ? server.stdout.pipe(losing(loss)) : server.stdout;
      server.stdin.on('error', () => {});
      return { channel: Duplex.from({ readable: answers, writable: server.stdin }), link: {} } as never;
    },
  };
  const { signal } = new AbortController();
  const sessions = new Sessions({ connect: async () => connection, place: 'here', most: 1, signal });
  return { sessions, endServers: () => servers.forEach((server) => void server.kill('SIGKILL')) };
}

for (const mustNotExist of [true, false]) {
  test(`of a put of ${mustNotExist ? 'a new object' : 'one that may be there'}`, async () => {
    const stored = body(70_000, 1);
    let lost = true;
    // the first two are the greeting
    for (let answer = 2; lost; answer++) {
      const place = join(base, `${mustNotExist}-${answer}`);
      mkdirSync(place);
      const loss: Loss = { after: answer, happened: false };
      const { sessions, endServers } = sessionsWith(loss);
      const { signal } = new AbortController();
      const directory = new Directory(place, 'here');
      const storage = new SftpStorage({ location: 'here', directory, sessions, clock: impatient, signal });
      try {
        await storage.put('data/ab/first', [stored], { mustNotExist });
        expect(readFileSync(join(place, 'data/ab/first')).equals(stored)).toBe(true);
        loss.after = Number.POSITIVE_INFINITY;
        await storage.put('config', [stored], { mustNotExist });
        expect(readdirSync(join(place, '~holdfast')), `answer ${answer} was lost`).toEqual([]);
      } finally {
        await storage.close();
        endServers();
      }
      lost = loss.happened;
      expect(answer).toBeLessThan(100);
    }
  });
}
