import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MalformedPacket, PacketReader, PacketSplitter, PacketWriter, type SftpAttributes } from './packets.ts';

const uint32 = fc.nat({ max: 0xffffffff });
const attributes: fc.Arbitrary<SftpAttributes> = fc
  .record({
    size: fc.option(fc.bigInt(0n, (1n << 64n) - 1n), { nil: undefined }),
    owner: fc.option(fc.tuple(uint32, uint32), { nil: undefined }),
    mode: fc.option(uint32, { nil: undefined }),
    times: fc.option(fc.tuple(uint32, uint32), { nil: undefined }),
  })
  .map(({ size, owner, mode, times }) => ({
    ...{ size, uid: owner?.[0], gid: owner?.[1], mode, atime: times?.[0], mtime: times?.[1] },
  }));

test('attributes and strings come back from a packet as they went in', () => {
  fc.assert(
    fc.property(attributes, fc.uint8Array(), uint32, (given, bytes, number) => {
      const packet = new PacketWriter(5).uint32(number).string(bytes).attributes(given).finish();
      expect(packet.readUInt32BE()).toBe(packet.length - 4);
      const reader = new PacketReader(packet.subarray(4));
      expect([reader.byte(), reader.uint32()]).toEqual([5, number]);
      expect(reader.string().equals(bytes)).toBe(true);
      expect(reader.attributes()).toEqual(strip(given));
      expect(reader.left).toBe(0);
    }),
  );
});

test('a stream cut anywhere gives the same packets', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 })), fc.array(fc.nat(9)), (payloads, cuts) => {
      const stream = Buffer.concat(payloads.map((bytes) => new PacketWriter(1).string(bytes).finish()));
      const found: Buffer[] = [];
      const splitter = new PacketSplitter(1000, (payload) => found.push(payload));
      for (let at = 0, turn = 0; at < stream.length; turn++) {
        const length = 1 + (cuts[turn % (cuts.length || 1)] ?? 0);
        splitter.push(stream.subarray(at, at + length));
        at += length;
      }
      expect(found.map((payload) => new PacketReader(payload.subarray(1)).string().toString('hex'))).toEqual(
        payloads.map((bytes) => Buffer.from(bytes).toString('hex')),
      );
      expect(splitter.idle).toBe(true);
    }),
  );
});

test('whatever bytes come, reading ends or throws the one error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        new PacketReader(bytes).names();
        new PacketReader(bytes).attributes();
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedPacket);
      }
    }),
  );
});

test('a packet longer than any that is right is refused before it is held', () => {
  const splitter = new PacketSplitter(1000, () => {});
  expect(() => splitter.push(Buffer.from([0xff, 0xff, 0xff, 0xff]))).toThrow(MalformedPacket);
});

function strip(given: SftpAttributes): SftpAttributes {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}
