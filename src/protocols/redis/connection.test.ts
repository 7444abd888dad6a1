import { duplexPair } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Connection, ErrorReply, encodeCommand } from './connection.ts';
import { piecesOf } from './fixture.ts';

/** A connection whose far end says `bytes` in pieces, and closes. */
function saying(bytes: Uint8Array, size: () => number = () => bytes.length): Connection {
  const [near, far] = duplexPair();
  far.resume();
  for (const piece of piecesOf(bytes, size)) far.write(piece);
  far.end();
  return new Connection(near, 'the server');
}

const told = Buffer.from(
  '+OK\r\n-NOPERM not allowed\r\n:-12\r\n$5\r\na\r\nbc\r\n$-1\r\n*3\r\n:1\r\n*0\r\n$0\r\n\r\n*-1\r\n',
);

test('replies of every kind are read in pieces of any size', async () => {
  await fc.assert(
    fc.asyncProperty(fc.infiniteStream(fc.integer({ min: 1, max: 9 })), async (sizes) => {
      await using connection = saying(told, () => sizes.next().value!);
      expect(await connection.reply()).toBe('OK');
      const refused = await connection.reply();
      expect(refused).toBeInstanceOf(ErrorReply);
      expect((refused as ErrorReply).kind).toBe('NOPERM');
      expect(await connection.reply()).toBe(-12);
      expect(await connection.reply()).toEqual(Buffer.from('a\r\nbc'));
      expect(await connection.reply()).toBeNull();
      expect(await connection.reply()).toEqual([1, [], Buffer.of()]);
      expect(await connection.reply()).toBeNull();
      await expect(connection.reply()).rejects.toThrow('the server closed the connection');
    }),
    { numRuns: 30 },
  );
});

test('what is no reply is said to be none', async () => {
  for (const nonsense of [
    'HTTP/1.1 400 Bad Request\r\n',
    '$x\r\n',
    ':1.5\r\n',
    `${'*1\r\n'.repeat(40)}:1\r\n`,
    '$99999999999\r\n',
  ]) {
    await using connection = saying(Buffer.from(nonsense));
    await expect(connection.reply()).rejects.toThrow('does not answer as a Redis or Valkey server does');
  }
  await using endless = saying(Buffer.alloc(200_000, 'x'));
  await expect(endless.reply()).rejects.toThrow('does not answer');
});

test('arguments are sent as they are, whatever bytes they are of', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 30_000 }), { minLength: 1, maxLength: 4 }), (parts) => {
      const expected = Buffer.concat([
        Buffer.from(`*${parts.length}\r\n`),
        ...parts.flatMap((part) => [Buffer.from(`$${part.length}\r\n`), part, Buffer.from('\r\n')]),
      ]);
      expect(Buffer.concat(encodeCommand(parts)).equals(expected)).toBe(true);
    }),
    { numRuns: 50 },
  );
});
