/** Whole repositories as restic left them (test/vectors/make-restic-vectors.sh), opened with nothing but their password. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { encodeName } from '../base/names.ts';
import { Secret } from '../base/secrets.ts';
import { silent } from '../model/run.ts';
import { type MemoryPlace, memoryStorage } from '../storage/memory.ts';
import {
  checkRepository,
  listKeys,
  listSnapshots,
  loadBlob,
  loadTree,
  openRepository,
  type Repository,
} from './index.ts';

interface Sealed {
  readonly password: string;
  /** Path in the repository → base64. */
  readonly objects: Readonly<Record<string, string>>;
  /** Path below the source, bytes as latin1 → base64: what the newest snapshot holds. */
  readonly newest: Readonly<Record<string, string>>;
}

function load(name: string): Sealed {
  const url = new URL(`../../test/vectors/restic/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(url, 'utf8')) as Sealed;
}

function placeOf({ objects }: Sealed): MemoryPlace {
  return new Map(Object.entries(objects).map(([path, bytes]) => [path, Buffer.from(bytes, 'base64')]));
}

async function contents(repository: Repository, tree: string, path = ''): Promise<[string, string][]> {
  const found: [string, string][] = [];
  for (const node of await loadTree(repository, tree)) {
    const place = path + encodeName(node.name).toString('latin1');
    if (node.subtree) found.push(...(await contents(repository, node.subtree, `${place}/`)));
    if (!node.content) continue;
    const blobs: Uint8Array[] = [];
    for (let at = 0; at < node.content.byteLength; at += 32) {
      blobs.push(await loadBlob(repository, 'data', node.content.subarray(at, at + 32)));
    }
    found.push([place, Buffer.concat(blobs).toString('base64')]);
  }
  return found;
}

describe.each([
  ['sealed-v1', 1],
  ['sealed-v2', 2],
])('a repository of restic: %s', (name, version) => {
  const sealed = load(name);

  test('opens, lists what it has, and gives back every byte', async () => {
    const storage = memoryStorage(placeOf(sealed));
    await using repository = await openRepository({ storage, password: new Secret(sealed.password) });
    expect(repository.config.version).toBe(version);
    expect(await listKeys(repository)).toMatchObject([{ current: true }]);
    const snapshots = await listSnapshots(repository);
    expect(snapshots.map(({ hostname }) => hostname)).toEqual(['sealed', 'sealed']);
    expect(Object.fromEntries(await contents(repository, snapshots[1].tree))).toEqual(sealed.newest);
    const first = Object.fromEntries(await contents(repository, snapshots[0].tree));
    expect(first).toMatchObject({ empty: '', noise: sealed.newest.noise });
    const { errors, warnings, counts } = await checkRepository(repository, { readData: true }, silent);
    expect([...errors, ...warnings]).toEqual([]);
    expect(counts).toMatchObject({ snapshots: 2, unusedBlobs: 0, packsRead: counts.packs });
  });

  test('stays shut for another password', async () => {
    const storage = memoryStorage(placeOf(sealed));
    await expect(openRepository({ storage, password: new Secret('Vectors') })).rejects.toMatchObject({
      code: 'repository.wrong-password',
    });
  });
});

// Names tell what bytes must be, seals that they are: nothing can change unseen.
test.each(['config', 'keys/', 'snapshots/', 'index/', 'data/'])('a changed bit below %s is found', async (folder) => {
  const sealed = load('sealed-v2');
  const place = placeOf(sealed);
  const path = [...place.keys()].find((one) => one.startsWith(folder))!;
  const bytes = Buffer.from(place.get(path)!);
  bytes[Math.floor(bytes.byteLength / 2)] ^= 1;
  place.set(path, bytes);
  const found = async (): Promise<number> => {
    const storage = memoryStorage(place);
    await using repository = await openRepository({ storage, password: new Secret(sealed.password) });
    return (await checkRepository(repository, { readData: true }, silent)).errors.length;
  };
  const result = await found().catch((error: unknown) => error);
  if (typeof result === 'number') expect(result).toBeGreaterThan(0);
  else expect(result).toMatchObject({ code: expect.stringMatching(/^repository\.(damaged|wrong-password)$/) });
});
