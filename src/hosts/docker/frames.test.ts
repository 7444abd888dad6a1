import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FrameReader } from './frames.ts';

function frame(type: number, content: Uint8Array): Buffer {
  const header = Buffer.alloc(8);
  header[0] = type;
  header.writeUInt32BE(content.length, 4);
  return Buffer.concat([header, content]);
}

const frames = fc.array(fc.tuple(fc.constantFrom(1, 2), fc.uint8Array({ maxLength: 300 })), { maxLength: 20 });

test('both outputs come whole and in order, however the stream is cut', () => {
  fc.assert(
    fc.property(frames, fc.infiniteStream(fc.integer({ min: 1, max: 50 })), (parts, cuts) => {
      const stream = Buffer.concat(parts.map(([type, content]) => frame(type, content)));
      const found = { 1: [] as Buffer[], 2: [] as Buffer[] };
      const reader = new FrameReader({ stdout: (b) => found[1].push(b), stderr: (b) => found[2].push(b) });
      for (let at = 0; at < stream.length; ) {
        const length = cuts.next().value as number;
        reader.push(stream.subarray(at, at + length));
        at += length;
        if (at < stream.length && at % 97 === 0) expect(typeof reader.atBoundary).toBe('boolean');
      }
      for (const type of [1, 2] as const) {
        const wanted = parts.filter(([kind]) => kind === type).map(([, content]) => content);
        expect(Buffer.concat(found[type])).toEqual(Buffer.concat(wanted));
      }
      expect(reader.atBoundary).toBe(true);
    }),
  );
});

test('an end within a frame is seen, and what is no frame is refused', () => {
  const reader = new FrameReader({ stdout: () => {}, stderr: () => {} });
  reader.push(frame(1, Buffer.from('abc')).subarray(0, 10));
  expect(reader.atBoundary).toBe(false);
  const other = new FrameReader({ stdout: () => {}, stderr: () => {} });
  expect(() => other.push(Buffer.from('HTTP/1.1 502 Bad Gateway'))).toThrow(/something else/);
});
