/** Prometheus' own judge of rules and metrics, unpacked once from Debian's package. */
import { execFile } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'holdfast-tests');
const script = fileURLToPath(new URL('fetch-from-package.sh', import.meta.url));

export interface Verdict {
  readonly status: number;
  readonly output: string;
}

/** `promtool ARGS…` in a folder, with something on stdin. */
export async function promtool(
  args: readonly string[],
  { folder, input = '' }: { folder?: string; input?: string } = {},
): Promise<Verdict> {
  const program = await path();
  return await new Promise((resolve) => {
    const child = execFile(program, [...args], { cwd: folder, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      resolve({ status: error ? Number(error.code ?? 1) : 0, output: stdout + stderr });
    });
    child.stdin?.end(input);
  });
}

async function path(): Promise<string> {
  if (process.platform !== 'linux') throw new Error('promtool is fetched on Debian only');
  const { stdout } = await execute(script, [join(cache, 'promtool'), 'prometheus', './usr/bin/promtool']);
  return stdout.trim();
}
