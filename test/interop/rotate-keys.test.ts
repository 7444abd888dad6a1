import { linkSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { HoldfastError } from '../../src/base/errors.ts';
import { Secret } from '../../src/base/secrets.ts';
import type { RepositoryEntry } from '../../src/config/index.ts';
import { silent } from '../../src/model/run.ts';
import { emptyConfig } from '../../src/operations/configuration/configuration.ts';
import { keyRotate } from '../../src/operations/repositories/rotate-key.ts';
import { initRepository, openRepository } from '../../src/repository/index.ts';
import { type MemoryPlace, memoryStorage } from '../../src/storage/memory.ts';
import type { AnyStorageKind, Storage } from '../../src/storage/storage.ts';
import { BothPrograms, resticPrograms } from '../support/both-programs.ts';

describe.each(resticPrograms)('%s', (program) => {
  it('opens with the new password and not with the old one, also when all keys are removed or made anew', async () => {
    using both = new BothPrograms('source');
    const file = both.path('home/password');
    const opens = async (password: string): Promise<boolean> => {
      writeFileSync(both.path('home/tried'), password);
      both.env.RESTIC_PASSWORD_FILE = both.path('home/tried');
      const { status, stderr } = await both.run(program, ['snapshots']);
      both.env.RESTIC_PASSWORD_FILE = file;
      if (status !== 0) expect(stderr).toContain('wrong password');
      return status === 0;
    };
    both.restic(program, 'init');
    writeFileSync(both.path('home/another'), 'another password');
    writeFileSync(both.path('home/third'), 'the third');
    both.restic(program, 'key', 'add', '--new-password-file', both.path('home/another'));
    both.holdfastBackup('source');
    expect(both.holdfast('repo', 'key', 'rotate', 'both')).toContain(`${file} holds the new password`);
    const made = readFileSync(file, 'utf8').trim();
    expect([await opens(made), await opens('a password'), await opens('another password')]).toEqual([
      true,
      false,
      true,
    ]);
    both.holdfastBackup('source');
    const rewrapped = JSON.parse(both.holdfast('--json', 'repo', 'key', 'rewrap', 'both')) as { outdated: string[] };
    expect(rewrapped.outdated.length).toBeLessThanOrEqual(1); // restic chose what the other one costs
    expect(await opens(made)).toBe(true);
    both.holdfast('repo', 'key', 'rotate', 'both', '--all-keys', '--new-password-file', both.path('home/third'));
    expect([await opens('the third'), await opens(made), await opens('another password')]).toEqual([
      true,
      false,
      false,
    ]);
    expect(JSON.parse(both.restic(program, 'key', 'list', '--json'))).toHaveLength(1);
    expect(readdirSync(both.path('home')).filter((name) => name.startsWith('password'))).toEqual(['password']);
  });
});

let made: MemoryPlace;
let folder: string;
let file: string;

beforeAll(async () => {
  made = new Map();
  const kdf = { N: 1024, r: 8, p: 1 };
  await initRepository({ storage: memoryStorage(made), password: new Secret('old'), clock: systemClock, kdf });
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-rotate-'));
  file = join(folder, 'password');
  writeFileSync(file, 'old\n', { mode: 0o640 });
});
afterEach(() => rmSync(folder, { recursive: true }));

type Wrap = (storage: Storage) => Storage;

/** Rotates the password of all these places, whose configuration names the one file. */
async function rotate(places: readonly MemoryPlace[], wrap: Wrap = (storage) => storage, request: object = {}) {
  const kind: AnyStorageKind = {
    name: 'memory',
    urlForm: 'memory:N',
    recognises: () => true,
    open: async (url) => wrap(memoryStorage(places[Number(url.slice('memory:'.length))], url)),
  };
  const entries = places.map((_, i): [string, RepositoryEntry] => [
    `r${i}`,
    { name: `r${i}`, url: `memory:${i}`, password: { from: 'file', path: file }, workspace: 'default' },
  ]);
  const config = { ...emptyConfig('/none'), repositories: new Map(entries) };
  const noHost = (): never => {
    throw new Error('no host is needed');
  };
  const execution = { clock: systemClock, signal: new AbortController().signal, report: silent };
  const input = keyRotate.input.parse({ repository: 'r0', ...request });
  return await keyRotate.run(input, {
    config,
    storageKinds: [kind],
    env: { NEW: 'new' },
    localHost: noHost,
    ...execution,
  });
}

async function opensWith(place: MemoryPlace, password: string): Promise<boolean> {
  return await openRepository({ storage: memoryStorage(place), password: new Secret(password) }).then(
    () => true,
    () => false,
  );
}

const inFile = (): string => readFileSync(file, 'utf8').trim();
const keysOf = (place: MemoryPlace): number => [...place.keys()].filter((name) => name.startsWith('keys/')).length;

/** Dies at the `nth` change: with its effect or without; whatever is asked afterwards fails, too. */
function dying(nth: number): Wrap & { changes: number } {
  const state = Object.assign(
    (storage: Storage): Storage => {
      const change = async (work: () => Promise<void>): Promise<void> => {
        state.changes++;
        if (state.changes === nth && nth % 2 === 0) await work();
        if (state.changes >= nth) throw new HoldfastError({ code: 'storage.io', message: 'gone', remedy: 'none' });
        await work();
      };
      return {
        ...storage,
        put: (name, parts, options) => change(() => storage.put(name, parts, options)),
        delete: (name) => change(() => storage.delete(name)),
      };
    },
    { changes: 0 },
  );
  return state;
}

describe('rotating a password', () => {
  it('changes it in every repository that takes it from the same file, and in the file, whose rights stay', async () => {
    const places = [new Map(made), new Map(made)];
    const outcome = await rotate(places, undefined, { newPasswordEnv: 'NEW' });
    expect(outcome.repositories.map((one) => [one.repository, one.removed.length])).toEqual([
      ['r0', 1],
      ['r1', 1],
    ]);
    expect([inFile(), statSync(file).mode & 0o777, readdirSync(folder)]).toEqual(['new', 0o640, ['password']]);
    for (const place of places) {
      expect([await opensWith(place, 'new'), await opensWith(place, 'old'), keysOf(place)]).toEqual([true, false, 1]);
    }
  });

  it('leaves a file with a password that opens wherever it dies, and is finished by the next one', async () => {
    for (let nth = 1; ; nth++) {
      writeFileSync(file, 'old\n');
      const place = new Map(made);
      const death = dying(nth);
      const failed = await rotate([place], death).then(
        () => false,
        () => true,
      );
      expect([nth, await opensWith(place, inFile())]).toEqual([nth, true]);
      if (!failed) {
        expect(nth).toBeGreaterThanOrEqual(6);
        return;
      }
      await rotate([place]);
      expect([nth, await opensWith(place, inFile()), await opensWith(place, 'old')]).toEqual([nth, true, false]);
      expect(readdirSync(folder)).toEqual(['password']);
    }
  });

  it('goes on where a swap of the file was interrupted', async () => {
    // Linked, not renamed yet: the old password is still the one in use.
    const place = new Map(made);
    writeFileSync(`${file}.holdfast-new`, 'the next one\n');
    linkSync(file, `${file}.holdfast-old`);
    expect(await rotate([place])).toMatchObject({ resumed: true, passwordFile: file });
    expect([inFile(), await opensWith(place, 'the next one'), await opensWith(place, 'old')]).toEqual([
      'the next one',
      true,
      false,
    ]);
    expect(readdirSync(folder)).toEqual(['password']);
  });

  it('touches no file of a person beside it, whatever it is named', async () => {
    const place = new Map(made);
    const beside = ['old', 'new', 'bak'].map((suffix) => [`${file}.${suffix}`, `${suffix} of somebody\n`]);
    for (const [path, text] of beside) writeFileSync(path, text);
    expect(await rotate([place])).toMatchObject({ resumed: false });
    expect([await opensWith(place, inFile()), await opensWith(place, 'old')]).toEqual([true, false]);
    for (const [path, text] of beside) {
      expect(readFileSync(path, 'utf8')).toBe(text);
      rmSync(path);
    }
    expect(readdirSync(folder)).toEqual(['password']);
    writeFileSync(file, 'old');
  });

  it('refuses the password in use, and a file that is missing or empty, and changes nothing', async () => {
    const place = new Map(made);
    writeFileSync(join(folder, 'same'), 'old');
    await expect(rotate([place], undefined, { newPasswordFile: join(folder, 'same') })).rejects.toMatchObject({
      code: 'usage.invalid',
    });
    writeFileSync(file, '\n');
    await expect(rotate([place])).rejects.toMatchObject({ code: 'secret.unavailable' });
    rmSync(file);
    await expect(rotate([place])).rejects.toMatchObject({ code: 'secret.unavailable' });
    expect(place).toEqual(made);
    writeFileSync(file, 'old');
  });
});
