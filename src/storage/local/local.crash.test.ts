import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, expect, test } from 'vitest';
import { openStorage } from '../open.ts';
import { localStorage } from './index.ts';

const place = mkdtempSync(join(tmpdir(), 'holdfast-crash-'));
afterAll(() => rmSync(place, { recursive: true }));

const folders = ['data/00', 'data/01', 'data/02', 'data/03'];

/** Puts bodies named by their hash, and replaces one object whose first 64 bytes are the hash of the rest; says what is stored. */
const writer = `
  import { createHash, randomBytes, randomInt } from 'node:crypto';
  const { localStorage } = await import(${JSON.stringify(new URL('./index.ts', import.meta.url).href)});
  const storage = await localStorage.open(process.argv[1], { create: true });
  const hash = (bytes) => createHash('sha256').update(bytes).digest('hex');
  const objects = async () => {
    for (;;) {
      const bytes = randomBytes(randomInt(1, 2_000_000));
      const name = 'data/0' + randomInt(4) + '/' + hash(bytes);
      const cut = randomInt(bytes.length);
      await storage.put(name, [bytes.subarray(0, cut), bytes.subarray(cut)], { mustNotExist: randomInt(2) === 1 });
      process.stdout.write(name + '\\n');
    }
  };
  const replaced = async () => {
    for (;;) {
      const bytes = randomBytes(randomInt(1, 300_000));
      await storage.put('state/replaced', [Buffer.from(hash(bytes)), bytes]);
    }
  };
  await Promise.all([objects(), objects(), objects(), replaced()]);
`;

/** Runs a writer until it has acknowledged `count` objects and a while longer, then kills it; the acknowledged names. */
async function killedWriter(count: number, turns: number): Promise<string[]> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', writer, place], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('close', (_, signal) => resolve(signal)));
  const stored: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    stored.push(line);
    if (stored.length !== count) continue;
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
    child.kill('SIGKILL');
  }
  expect(await ended).toBe('SIGKILL');
  return stored;
}

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const leftovers = () => readdirSync(place, { recursive: true, encoding: 'utf8' }).filter((path) => path.includes('~'));

test('whenever a writer is killed, every visible object is complete and every acknowledged one is there', async () => {
  const stored: string[] = [];
  let left = 0;
  for (let round = 0; round < 8; round++) {
    stored.push(...(await killedWriter(3 + round, (round * 37) % 101)));
    left = Math.max(left, leftovers().length);
  }
  expect(left, 'no writer was killed in the middle of a put').toBeGreaterThan(0);

  const storage = await openStorage([localStorage], place, { create: false });
  const found = new Set<string>();
  for await (const { name } of storage.list('data')) {
    expect(hash(await storage.get(name))).toBe(name.slice(-64));
    found.add(name);
  }
  for (const name of stored) expect(found).toContain(name);
  const replaced = readFileSync(join(place, 'state/replaced'));
  expect(hash(replaced.subarray(64))).toBe(replaced.toString('latin1', 0, 64));

  for (const folder of [...folders, 'state']) await storage.put(`${folder}/sweeper`, []);
  expect(leftovers()).toEqual([]);
});
