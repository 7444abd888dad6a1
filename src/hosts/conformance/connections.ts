/** Promises about byte streams to what listens on a host. */
import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { equalBytes } from '../../base/bytes.ts';
import { messageOf } from '../../base/errors.ts';
import type { Address, Host } from '../host.ts';
import { expect, expectEqual, expectError } from './case.ts';

export interface ConnectionCaseContext {
  readonly host: Host;
  /** Where something listens on the host that sends back all it gets, and ends when its input ends. */
  readonly echo: readonly Address[];
  /** Nothing listens there. */
  readonly nobody: readonly Address[];
}

export interface ConnectionCase {
  readonly id: string;
  readonly why: string;
  run(ctx: ConnectionCaseContext): Promise<void>;
}

const bigBytes = 8 << 20;

export const connectionCases: readonly ConnectionCase[] = [
  {
    id: 'connect-both-ways',
    why: 'bytes pass both ways while the stream stays open',
    run: ({ host, echo }) =>
      each(echo, async (address) => {
        const stream = await host.connect(address);
        for (const text of ['first', 'second\0\xff']) {
          stream.write(text, 'latin1');
          expectEqual((await take(stream, text.length)).toString('latin1'), text, 'what came back');
        }
        stream.destroy();
      }),
  },
  {
    id: 'connect-half-close',
    why: 'ending one direction leaves the other open until all has passed',
    run: ({ host, echo }) =>
      each(echo, async (address) => {
        const stream = await host.connect(address);
        const sent = randomBytes(bigBytes);
        stream.end(sent);
        const chunks: Buffer[] = [];
        for await (const chunk of stream) chunks.push(chunk as Buffer);
        expect(equalBytes(Buffer.concat(chunks), sent), 'what came back differs');
      }),
  },
  {
    id: 'connect-at-once',
    why: 'several streams do not mix',
    run: ({ host, echo }) =>
      each(echo, async (address) => {
        const one = async (number: number): Promise<void> => {
          const stream = await host.connect(address);
          stream.end(`stream ${number}`);
          const chunks: Buffer[] = [];
          for await (const chunk of stream) chunks.push(chunk as Buffer);
          expectEqual(Buffer.concat(chunks).toString(), `stream ${number}`, 'what came back');
        };
        await Promise.all(Array.from({ length: 20 }, (_, number) => one(number)));
      }),
  },
  {
    id: 'connect-refused',
    why: 'an address where nobody listens has an error code of its own',
    run: ({ host, nobody }) =>
      each(nobody, (address) => expectError(() => host.connect(address), 'host.unreachable', 'connecting')),
  },
  {
    id: 'connect-cancelled',
    why: 'a connection that is not wanted any more is not made',
    run: ({ host, echo }) =>
      each(echo, (address) => expectError(() => host.connect(address, AbortSignal.abort()), 'cancelled', 'connecting')),
  },
];

async function each(addresses: readonly Address[], run: (address: Address) => Promise<void>): Promise<void> {
  for (const address of addresses) {
    try {
      await run(address);
    } catch (error) {
      expect(false, `${JSON.stringify(address)}: ${messageOf(error)}`);
    }
  }
}

async function take(stream: Duplex, length: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let left = length; left > 0; ) {
    const chunk = stream.read() as Buffer | null;
    if (chunk) {
      chunks.push(chunk);
      left -= chunk.length;
      continue;
    }
    await new Promise<void>((resolve, reject) => {
      stream.once('readable', resolve);
      stream.once('error', reject);
    });
  }
  return Buffer.concat(chunks);
}
