import { type Duplex, duplexPair } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Clock } from '../../base/clock.ts';
import { systemClock } from '../../base/clock.ts';
import { HoldfastError } from '../../base/errors.ts';
import { Connection } from './connection.ts';
import { openReplicaStream, watchConnection } from './replica.ts';

const mark = 'b3a1f0c2d4e5968778695a4b3c2d1e0f9a8b7c6d';
const id = 'f'.repeat(40);

/** A server that answers the handshake and then says `after`, in pieces, and closes if `closes`. */
function server(after: readonly (string | Uint8Array)[], closes = true): Connection {
  const [near, far] = duplexPair();
  let heard = '';
  far.on('data', (chunk: Buffer) => {
    heard += chunk.toString('latin1');
    for (let end = heard.indexOf('\r\n', heard.lastIndexOf('*')); end >= 0; end = -1) answer(far, after, closes, heard);
    heard = heard.includes('PSYNC') ? '' : heard;
  });
  return new Connection(near, 'the server');
}

function answer(far: Duplex, after: readonly (string | Uint8Array)[], closes: boolean, heard: string): void {
  const last = heard.slice(heard.lastIndexOf('*'));
  if (/rdb-only/.test(last)) far.write('-ERR Unrecognized REPLCONF option: rdb-only\r\n');
  else if (/REPLCONF/.test(last)) far.write('+OK\r\n');
  else if (/PSYNC/.test(last)) {
    for (const part of after) far.write(part);
    if (closes) far.end();
  }
}

const refused = (command: string): HoldfastError =>
  new HoldfastError({ code: 'source.unreadable', message: `refused ${command}`, remedy: 'Grant it.' });

async function taken(connection: Connection): Promise<Buffer> {
  const stream = await openReplicaStream(connection, { refused });
  const all: Uint8Array[] = [];
  for await (const piece of stream.pieces()) all.push(piece);
  return Buffer.concat(all);
}

test('a file of a stated length is taken, and nothing of the commands after it', async () => {
  await using connection = server([`+FULLRESYNC ${id} 17\r\n`, '\n', '\n', '$5\r\nREDIS', '*1\r\n$4\r\nPING\r\n']);
  expect((await taken(connection)).toString()).toBe('REDIS');
});

test('a file of unknown length ends at its mark, however the mark is cut into pieces', async () => {
  const file = Buffer.from(`REDIS ${mark.slice(0, 30)} ${mark.slice(0, 39)}!${'x'.repeat(500)}`);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 30 }), async (sizes) => {
      const said = Buffer.concat([file, Buffer.from(mark), Buffer.from('*1\r\n$4\r\nPING\r\n')]);
      const pieces: Uint8Array[] = [];
      let at = 0;
      for (const size of sizes) {
        pieces.push(said.subarray(at, at + size));
        at += size;
      }
      pieces.push(said.subarray(at));
      await using connection = server([
        `\n+FULLRESYNC ${id} 0\r\n\n$EOF:${mark}\r\n`,
        ...pieces.filter((one) => one.length > 0),
      ]);
      expect((await taken(connection)).equals(file)).toBe(true);
    }),
    { numRuns: 30 },
  );
});

test('a stream that ends early is not a file', async () => {
  for (const cut of [`$10\r\nREDIS`, `$EOF:${mark}\r\nREDIS0011${mark.slice(0, 39)}`, `$EOF:${mark}\r\n`]) {
    await using connection = server([`+FULLRESYNC ${id} 0\r\n`, cut]);
    await expect(taken(connection)).rejects.toThrow('before it was complete');
  }
});

test('refusals and strange answers are told apart', async () => {
  await using no = server(['-NOPERM this user has no permissions to run the psync command\r\n']);
  await expect(taken(no)).rejects.toThrow('refused PSYNC');
  await using later = server([`+FULLRESYNC ${id} 0\r\n`, '-ERR fork failed\r\n']);
  await expect(taken(later)).rejects.toThrow('refused PSYNC');
  await using odd = server(['+CONTINUE\r\n']);
  await expect(taken(odd)).rejects.toThrow('answers a replica with "+CONTINUE"');
});

test('a server that says nothing for ten minutes is given up', async () => {
  let nowMs = 0;
  const clock: Clock = {
    ...systemClock,
    monotonicMs: () => nowMs,
    sleep: async (ms) => {
      nowMs += ms;
      await new Promise(setImmediate);
    },
  };
  await using connection = server([`+FULLRESYNC ${id} 0\r\n`], false);
  const stop = new AbortController();
  const watch = watchConnection(connection, clock, stop.signal);
  await expect(taken(connection)).rejects.toThrow('has said nothing for ten minutes');
  expect(nowMs).toBeGreaterThanOrEqual(600_000);
  stop.abort();
  await watch;
});
