import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cancelled, hasCode } from '../../base/errors.ts';
import { localHost } from '../../hosts/local/index.ts';
import { closeDatabaseFiles, openDatabaseFiles, plainState } from '../../protocols/sqlite/overlay.ts';
import { copyOpenFile } from './copy-file.ts';
import { copyState } from './copy-state.ts';
import { type Playground, playground } from './fixture-run.ts';

const mebibyte = 1 << 20;
/** With the kernel's help, and as without the package that gives it. */
const ways = { 'in the kernel': localHost(), 'through this process': {} };
let place: Playground;
let from: FileHandle;
const content = Buffer.alloc(20 * mebibyte + 5, 'some rows ');
beforeEach(async () => {
  place = playground();
  writeFileSync(place.path('main'), content, { mode: 0o440 });
  from = await open(place.path('main'), 'r');
});
afterEach(async () => {
  await from.close();
  place[Symbol.dispose]();
});

for (const [way, local] of Object.entries(ways)) {
  test(`a file that becomes shorter while it is copied ends the copy where it ends now, ${way}`, async () => {
    let pieces = 0;
    const check = (): void => {
      if (++pieces === 3) truncateSync(place.path('main'), mebibyte);
    };
    const { file, bytes } = await copyOpenFile({
      from,
      path: place.path('copy'),
      local,
      pieceBytes: 8 * mebibyte,
      check,
    });
    await file.close();
    expect(bytes).toBeGreaterThanOrEqual(256 << 10);
    expect(bytes).toBeLessThan(content.length);
    expect(statSync(place.path('copy')).size).toBe(bytes);
    expect(readFileSync(place.path('copy')).equals(content.subarray(0, bytes))).toBe(true);
  });

  test(`a copy is the file, its owner’s alone, up to where it is wanted, whatever the mode of the source, ${way}`, async () => {
    for (const [name, limitBytes] of Object.entries({ all: undefined, part: 9 * mebibyte + 7, more: 1e9 })) {
      const { file, bytes } = await copyOpenFile({ from, path: place.path(name), local, limitBytes, check: () => {} });
      await file.close();
      const expected = content.subarray(0, limitBytes);
      expect(bytes).toBe(expected.length);
      expect(readFileSync(place.path(name)).equals(expected)).toBe(true);
      expect((statSync(place.path(name)).mode & 0o777).toString(8)).toBe('600');
    }
  });

  test(`a copy is cancelled between two pieces, ${way}`, async () => {
    let pieces = 0;
    const check = (): void => {
      if (++pieces === 3) throw cancelled();
    };
    const copying = copyOpenFile({ from, path: place.path('copy'), local, pieceBytes: 8 * mebibyte, check });
    await expect(copying).rejects.toSatisfy((error) => hasCode(error, 'cancelled'));
    expect(statSync(place.path('copy')).size).toBeLessThan(content.length);
  });
}

test('a state of which pages were cut off while it was copied is refused, one that a checkpoint cut down to itself is not', async () => {
  const files = await openDatabaseFiles(place.path('main'), false);
  const copyCutTo = async (bytes: number, name: string): Promise<void> => {
    const state = plainState(mebibyte, 10 * mebibyte);
    let pieces = 0;
    const check = (): void => {
      if (++pieces === 2) truncateSync(place.path('main'), bytes);
    };
    await copyState({ files, state, path: place.path(name), local: {}, check });
  };
  await copyCutTo(10 * mebibyte, 'whole');
  expect(readFileSync(place.path('whole')).equals(content.subarray(0, 10 * mebibyte))).toBe(true);
  await expect(copyCutTo(mebibyte, 'torn')).rejects.toMatchObject({ code: 'source.changed' });
  await closeDatabaseFiles(files);
});
