/** Promises about many objects, several handles and calls at the same time. */
import { utf8 } from '../../base/bytes.ts';
import { forEachConcurrent } from '../../base/concurrency.ts';
import { hasCode } from '../../base/errors.ts';
import type { Storage } from '../storage.ts';
import { body, broken, expect, expectBytes, expectError, listed, nextTurn, type StorageCase } from './case.ts';

export const placeCases: readonly StorageCase[] = [
  {
    id: 'second-handle',
    why: 'what one handle wrote, replaced or deleted, another sees at once, in reads and in lists',
    async run({ open, folder }) {
      const [writer, reader] = [await open(), await open()];
      const name = `${folder}/deep/er/object`;
      await reader.stat(name);
      for (let turn = 0; turn < 10; turn++) {
        const bytes = body(1000 + turn, turn);
        await writer.put(name, [bytes]);
        expectBytes(await reader.get(name), bytes, 'the object read by another handle');
        const into = new Uint8Array(bytes.byteLength);
        await reader.getInto(name, 0, into);
        expectBytes(into, bytes, 'the object read by another handle');
        expect((await listed(reader, folder)).get(name) === bytes.byteLength, 'another handle lists it otherwise');
      }
      await writer.delete(name);
      expect((await reader.stat(name)) === undefined, 'another handle still sees a deleted object');
      expect((await listed(reader, folder)).size === 0, 'another handle still lists a deleted object');
    },
  },
  {
    id: 'atomic-replace',
    why: 'while an object is replaced, a reader gets the old one or the new one, never a mixture and never nothing',
    async run({ open, folder }) {
      const [writer, reader] = [await open(), await open()];
      const name = `${folder}/replaced`;
      const versions = [new Uint8Array(700_000).fill(0x41), new Uint8Array(1_000_000).fill(0x42)];
      await writer.put(name, [versions[0]]);
      let writing = true;
      const writes = (async () => {
        for (let turn = 1; turn <= 20; turn++) await writer.put(name, [versions[turn % 2]]);
      })().finally(() => {
        writing = false;
      });
      const reads = (async () => {
        while (writing) {
          const found = await reader.get(name);
          expectBytes(found, versions[found[0] === 0x41 ? 0 : 1], 'an object read while it was replaced');
          await nextTurn();
        }
      })();
      await Promise.all([writes, reads]);
    },
  },
  {
    id: 'one-winner',
    why: 'of many writers of an object that must be new exactly one succeeds, and its bytes stay',
    async run({ open, folder }) {
      const handles = await Promise.all([open(), open(), open(), open()]);
      for (let round = 0; round < 3; round++) {
        const name = `${folder}/new-${round}`;
        const bodies = Array.from({ length: 20 }, (_, writer) => body(30_000, writer));
        const wins = await Promise.all(
          bodies.map((bytes, writer) => putNew(handles[writer % handles.length], name, bytes)),
        );
        const winners = wins.flatMap((won, writer) => (won ? [writer] : []));
        expect(winners.length === 1, `${winners.length} of 20 writers of one new object succeed, not 1`);
        expectBytes(await handles[0].get(name), bodies[winners[0]], 'the winner’s object');
        await expectError(
          handles[1].put(name, [utf8('late')], { mustNotExist: true }),
          'a late writer',
          'storage.exists',
        );
        expectBytes(await handles[0].get(name), bodies[winners[0]], 'the winner’s object after a late writer');
      }
    },
  },
  {
    id: 'concurrent-puts',
    why: 'sixteen puts at once are all stored, each as itself',
    async run({ open, folder }) {
      const storage = await open();
      const bodies = Array.from({ length: 16 }, (_, at) => body(200_000 + at, at));
      await Promise.all(bodies.map((bytes, at) => storage.put(`${folder}/${at % 4}/object-${at}`, [bytes])));
      const sizes = await listed(storage, folder);
      expect(sizes.size === 16, `${sizes.size} objects are listed after 16 puts`);
      for (const [at, bytes] of bodies.entries()) {
        expectBytes(await storage.get(`${folder}/${at % 4}/object-${at}`), bytes, `object ${at}`);
      }
    },
  },
  {
    id: 'empty-list',
    why: 'a folder that has no objects, or never had, lists as empty',
    async run({ open, folder }) {
      const storage = await open();
      expect((await listed(storage, `${folder}/never`)).size === 0, 'a folder that never was has objects');
      await storage.put(`${folder}/once/object`, [utf8('x')]);
      await storage.delete(`${folder}/once/object`);
      expect((await listed(storage, `${folder}/once`)).size === 0, 'an emptied folder has objects');
    },
  },
  {
    id: 'list-boundary',
    why: 'a list holds what lies below the folder at any depth, and nothing of folders whose names begin alike',
    async run({ open, folder }) {
      const storage = await open();
      const inside = [`${folder}/list/a`, `${folder}/list/b/c`, `${folder}/list/b/d/e`];
      for (const name of [...inside, `${folder}/list2/x`, `${folder}/list-`, `${folder}/lis`]) {
        await storage.put(name, [utf8(name)]);
      }
      const found = [...(await listed(storage, `${folder}/list`)).keys()];
      const right = found.length === inside.length && inside.every((name) => found.includes(name));
      expect(right, `the list is ${JSON.stringify(found)}`);
    },
  },
  {
    id: 'long-list',
    why: 'more than a thousand objects are listed completely, each once',
    async run({ open, folder }) {
      const storage = await open();
      const names = Array.from({ length: 1050 }, (_, at) => `${folder}/${at % 5}/${String(at).padStart(64, '0')}`);
      await forEachConcurrent(names, 16, (name) => storage.put(name, [utf8(name)]));
      const found = await listed(await open(), folder);
      expect(found.size === names.length, `${found.size} of ${names.length} objects are listed`);
      for (const name of names) expect(found.get(name) === name.length, `${name} is missing or has another size`);
    },
  },
  {
    id: 'list-while-writing',
    why: 'objects that were there before a list began and stay are in it, whatever comes and goes meanwhile',
    async run({ open, folder }) {
      const [storage, writer] = [await open(), await open()];
      const steady = Array.from({ length: 40 }, (_, at) => `${folder}/${at % 4}/steady-${at}`);
      await forEachConcurrent(steady, 8, (name) => storage.put(name, [utf8(name)]));
      let listing = true;
      const churn = (async () => {
        for (let at = 0; listing; at++) {
          await writer.put(`${folder}/${at % 4}/passing-${at}`, [utf8('x')]);
          await nextTurn();
          if (at % 2 === 1) await writer.delete(`${folder}/${at % 4}/passing-${at}`);
        }
      })();
      try {
        for (let round = 0; round < 10; round++) {
          const found = await listed(storage, folder);
          for (const name of steady) expect(found.get(name) === name.length, `${name} is missing from a list`);
        }
      } finally {
        listing = false;
        await churn;
      }
    },
  },
  {
    id: 'aborted-put',
    why: 'a put that was aborted leaves the object complete or absent, and what it says is what is',
    async run({ open, folder }) {
      const [storage, reader] = [await open(), await open()];
      await expectError(
        storage.put(`${folder}/never`, [utf8('x')], { signal: AbortSignal.abort() }),
        'a put aborted before it began',
        'cancelled',
      );
      expect((await reader.stat(`${folder}/never`)) === undefined, 'a put aborted before it began left an object');
      const bytes = body(4_000_000, 8);
      for (let at = 0; at < 12; at++) await abortedPut(storage, reader, `${folder}/aborted-${at}`, bytes, at);
    },
  },
];

async function putNew(storage: Storage, name: string, bytes: Uint8Array): Promise<boolean> {
  try {
    await storage.put(name, [bytes], { mustNotExist: true });
    return true;
  } catch (error) {
    if (hasCode(error, 'storage.exists')) return false;
    throw error;
  }
}

/** Aborts a put after `turns` turns of the event loop. */
async function abortedPut(storage: Storage, reader: Storage, name: string, bytes: Uint8Array, turns: number) {
  const abort = new AbortController();
  const outcome = storage.put(name, [bytes], { signal: abort.signal }).then(
    () => ({ stored: true, error: undefined }),
    (error: unknown) => ({ stored: false, error }),
  );
  for (let turn = 0; turn < turns; turn++) await nextTurn();
  abort.abort();
  const { stored, error } = await outcome;
  if (stored) return expectBytes(await reader.get(name), bytes, 'an object stored before the abort came');
  if (!hasCode(error, 'cancelled')) throw broken('an aborted put fails with another error than «cancelled»', error);
  expect((await reader.stat(name)) === undefined, 'an aborted put left an object');
}
