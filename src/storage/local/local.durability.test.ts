/** Power loss cannot be had in a test; the order of system calls that survives it can be watched. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const base = mkdtempSync(join(tmpdir(), 'holdfast-durability-'));
afterAll(() => rmSync(base, { recursive: true }));

const traceable = spawnSync('strace', ['-f', '-o', join(base, 'probe'), 'true']).status === 0;
if (!traceable) {
  // Hooks of a file whose tests are all skipped do not run.
  rmSync(base, { recursive: true });
  console.warn('skipped: strace is not installed or may not trace here');
}

const script = `
  const { localStorage } = await import(${JSON.stringify(new URL('./index.ts', import.meta.url).href)});
  const storage = await localStorage.open(process.argv[1], { create: true });
  await storage.put('data/ab/replaced', [new Uint8Array(1000)]);
  await storage.put('data/ab/new', [new Uint8Array(10)], { mustNotExist: true });
`;

/** `fsync <path>`, `write`, `close`, `rename … <path>` and the like, with paths below the root, in order. */
function systemCalls(): string[] {
  const trace = join(base, 'trace');
  const root = join(base, 'repository');
  // -y writes the path of each descriptor; one thread keeps calls whole and in order.
  const args = ['-f', '-y', '-o', trace, '-e', 'trace=fsync,rename,link,writev,pwritev,write,close,mkdir'];
  const { status, stderr } = spawnSync(
    'strace',
    [...args, process.execPath, '--input-type=module', '-e', script, root],
    {
      encoding: 'utf8',
      env: { ...process.env, UV_THREADPOOL_SIZE: '1' },
    },
  );
  expect(status, stderr).toBe(0);
  const calls = readFileSync(trace, 'utf8').matchAll(/^\d+ +(\w+)\(([^\n]*)/gm);
  return [...calls].flatMap(([, call, rest]) => {
    const paths = [...rest.matchAll(/[<"]([^>"]*holdfast-durability[^>"]*)[>"]/g)].map(([, path]) =>
      path
        .replace(root, 'ROOT')
        .replace(base, 'BASE')
        .replace(/~holdfast[-\w]*/, 'TEMPORARY'),
    );
    return paths.length === 0 || rest.includes('ENOENT')
      ? []
      : [`${call.replace(/^p?writev?$/, 'write')} ${paths.join(' ')}`];
  });
}

test.runIf(traceable)('a file is flushed and closed before it gets its name, and its directories are flushed', () => {
  expect(systemCalls().filter((call) => !/^close (ROOT|BASE)(\/data(\/ab)?)?$/.test(call))).toEqual([
    'mkdir ROOT',
    'fsync BASE',
    'mkdir ROOT/data',
    'mkdir ROOT/data/ab',
    'write ROOT/data/ab/TEMPORARY',
    'fsync ROOT/data/ab/TEMPORARY',
    'close ROOT/data/ab/TEMPORARY',
    'fsync ROOT',
    'fsync ROOT/data',
    'rename ROOT/data/ab/TEMPORARY ROOT/data/ab/replaced',
    'fsync ROOT/data/ab',
    'write ROOT/data/ab/TEMPORARY',
    'fsync ROOT/data/ab/TEMPORARY',
    'close ROOT/data/ab/TEMPORARY',
    'link ROOT/data/ab/TEMPORARY ROOT/data/ab/new',
    'fsync ROOT/data/ab',
  ]);
});
