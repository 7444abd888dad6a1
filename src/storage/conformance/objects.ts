/** Promises about single objects: what was put is what is got, and nothing else. */
import { utf8 } from '../../base/bytes.ts';
import { body, expect, expectBytes, expectError, listed, type StorageCase } from './case.ts';

export const objectCases: readonly StorageCase[] = [
  {
    id: 'round-trip',
    why: 'an object comes back as it was put, with its size, until it is deleted',
    async run({ open, folder }) {
      const storage = await open();
      const name = `${folder}/Some_name-1.bin`;
      const bytes = body(1_000_003, 1);
      await storage.put(name, [bytes]);
      expectBytes(await storage.get(name), bytes, 'the object');
      const stat = await storage.stat(name);
      expect(stat?.name === name && stat.sizeBytes === bytes.byteLength, 'stat gives another name or size');
      expect((await listed(storage, folder)).get(name) === bytes.byteLength, 'the list lacks the object or its size');
      await storage.delete(name);
      expect((await storage.stat(name)) === undefined, 'a deleted object is still there');
      expect((await listed(storage, folder)).size === 0, 'a deleted object is still listed');
    },
  },
  {
    id: 'empty-body',
    why: 'an empty object is an object',
    async run({ open, folder }) {
      const storage = await open();
      await storage.put(`${folder}/no-parts`, []);
      await storage.put(`${folder}/empty-parts`, [new Uint8Array(0), new Uint8Array(0)]);
      for (const name of [`${folder}/no-parts`, `${folder}/empty-parts`]) {
        expectBytes(await storage.get(name), new Uint8Array(0), name);
        await storage.getInto(name, 0, new Uint8Array(0));
        expect((await storage.stat(name))?.sizeBytes === 0, `${name} has not the size 0`);
      }
      expect((await listed(storage, folder)).size === 2, 'empty objects are not listed');
    },
  },
  {
    id: 'many-parts',
    why: 'an object is the concatenation of its parts, thousands of them and empty ones included',
    async run({ open, folder }) {
      const storage = await open();
      const bytes = body(300_000, 2);
      const parts: Uint8Array[] = [];
      for (let at = 0; at < bytes.byteLength; at += 61) parts.push(bytes.subarray(at, at + 61), new Uint8Array(0));
      await storage.put(`${folder}/parts`, parts);
      expectBytes(await storage.get(`${folder}/parts`), bytes, 'the object of many parts');
    },
  },
  {
    id: 'large-body',
    why: 'an object of 17 MiB, more than a pack, is stored whole, from memory shared between threads',
    async run({ open, folder }) {
      const storage = await open();
      const bytes = new Uint8Array(new SharedArrayBuffer(17 * 1024 * 1024 + 5));
      bytes.set(body(bytes.byteLength, 3));
      await storage.put(`${folder}/large`, [bytes.subarray(0, 9_000_001), bytes.subarray(9_000_001)]);
      expectBytes(await storage.get(`${folder}/large`), bytes, 'the large object');
    },
  },
  {
    id: 'bytes-as-given',
    why: 'stored bytes do not change when the memory they came from, or were read into, is used again',
    async run({ open, folder }) {
      const storage = await open();
      const bytes = body(50_000, 4);
      const given = bytes.slice();
      await storage.put(`${folder}/given`, [given]);
      given.fill(0);
      (await storage.get(`${folder}/given`)).fill(1);
      expectBytes(await storage.get(`${folder}/given`), bytes, 'the object');
      const text = utf8('line\r\nline\n\0\u001aend');
      await storage.put(`${folder}/text`, [text]);
      expectBytes(await storage.get(`${folder}/text`), text, 'text with line ends of all kinds');
    },
  },
  {
    id: 'ranges',
    why: 'a range is exactly the bytes asked for',
    async run({ open, folder }) {
      const storage = await open();
      const bytes = body(100_000, 5);
      const name = `${folder}/ranges`;
      await storage.put(name, [bytes]);
      for (const [offset, length] of [
        [0, 1],
        [0, 100_000],
        [12_345, 6_789],
        [99_999, 1],
        [500, 0],
        [100_000, 0],
      ]) {
        const expected = bytes.subarray(offset, offset + length);
        expectBytes(await storage.get(name, { offset, length }), expected, `the range ${offset}+${length}`);
        const into = new Uint8Array(length);
        await storage.getInto(name, offset, into);
        expectBytes(into, expected, `the range ${offset}+${length}`);
      }
    },
  },
  {
    id: 'past-the-end',
    why: 'a range past the end is an error, never fewer bytes',
    async run({ open, folder }) {
      const storage = await open();
      const name = `${folder}/short`;
      await storage.put(name, [body(1000, 6)]);
      for (const [offset, length] of [
        [0, 1001],
        [999, 2],
        [1000, 1],
        [5000, 10],
      ]) {
        const what = `a read of bytes ${offset}+${length} of 1000`;
        await expectError(storage.get(name, { offset, length }), what, 'storage.io');
        await expectError(storage.getInto(name, offset, new Uint8Array(length)), what, 'storage.io');
      }
    },
  },
  {
    id: 'shared-memory',
    why: 'a read into shared memory fills exactly the view it was given',
    async run({ open, folder }) {
      const storage = await open();
      const bytes = body(200_000, 7);
      await storage.put(`${folder}/shared`, [bytes]);
      const memory = new Uint8Array(new SharedArrayBuffer(70_000));
      await storage.getInto(`${folder}/shared`, 1_000, memory.subarray(100, 65_100));
      expectBytes(memory.slice(100, 65_100), bytes.subarray(1_000, 66_000), 'the view');
      expect(
        memory.subarray(0, 100).every((byte) => byte === 0),
        'bytes before the view were changed',
      );
      expect(
        memory.subarray(65_100).every((byte) => byte === 0),
        'bytes after the view were changed',
      );
    },
  },
  {
    id: 'absent',
    why: 'what is not there is said to be not there, and deleting it is no error',
    async run({ open, folder }) {
      const storage = await open();
      const name = `${folder}/nothing/here`;
      expect((await storage.stat(name)) === undefined, 'stat finds an object that was never put');
      await expectError(storage.get(name), 'get of an absent object', 'storage.not-found');
      await expectError(
        storage.get(name, { offset: 0, length: 1 }),
        'get of a range of an absent object',
        'storage.not-found',
      );
      await expectError(
        storage.getInto(name, 0, new Uint8Array(1)),
        'getInto of an absent object',
        'storage.not-found',
      );
      await storage.delete(name);
      await storage.put(`${folder}/there`, [utf8('x')]);
      await storage.delete(`${folder}/there`);
      await storage.delete(`${folder}/there`);
    },
  },
  {
    id: 'hostile-names',
    why: 'names that are none are refused before anything is touched',
    async run({ open, folder }) {
      const storage = await open();
      const hostile = ['', '/', '..', `${folder}/../x`, `${folder}/..`, `/${folder}/x`, `${folder}//x`, `${folder}/`];
      hostile.push(
        `${folder}/.hidden`,
        `${folder}/a b`,
        `${folder}/a\\b`,
        `${folder}/a\0b`,
        `${folder}/é`,
        `${folder}/~x`,
      );
      hostile.push(`${folder}/${'x'.repeat(256)}`, `${folder}/a\nb`, 'C:x');
      for (const name of hostile) {
        const what = `the name ${JSON.stringify(name.slice(-30))}`;
        await expectError(storage.put(name, [utf8('x')]), `put under ${what}`, 'internal');
        await expectError(storage.get(name), `get of ${what}`, 'internal');
        await expectError(storage.getInto(name, 0, new Uint8Array(1)), `getInto of ${what}`, 'internal');
        await expectError(storage.stat(name), `stat of ${what}`, 'internal');
        await expectError(storage.delete(name), `delete of ${what}`, 'internal');
        await expectError(listed(storage, name), `list of ${what}`, 'internal');
      }
      expect((await listed(storage, folder)).size === 0, 'a refused put left an object');
    },
  },
];
