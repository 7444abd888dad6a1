/** What a container has to work with. */

import type { Container } from './container.ts';
import { runInContainer } from './run.ts';

/** Everything this folder may use. */
const wanted = [
  'cat',
  'nc',
  'socat',
  'python3',
  'perl',
  'bash',
  'find',
  'stat',
  'dd',
  'touch',
  'readlink',
  'mknod',
  'mkfifo',
];
const script = 'for t; do command -v "$t" >/dev/null 2>&1 && printf "%s\\n" "$t"; done; exit 0';

/** The programs found, asked for once. Without a shell: none. */
export function toolFinder(container: Container): () => Promise<ReadonlySet<string>> {
  let found: Promise<ReadonlySet<string>> | undefined;
  return () => {
    found ??= findTools(container).catch((error: unknown) => {
      found = undefined; // the container may be back next time
      throw error;
    });
    return found;
  };
}

async function findTools(container: Container): Promise<ReadonlySet<string>> {
  if (!container.hasShell) return new Set();
  const program = await runInContainer(container, { argv: ['sh', '-c', script, 'sh', ...wanted] });
  await program.endInput();
  const chunks: Uint8Array[] = [];
  for await (const chunk of program.stdout) chunks.push(chunk);
  return new Set(Buffer.concat(chunks).toString('utf8').split('\n').filter(Boolean));
}
