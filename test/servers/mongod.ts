/** The stand-in as a program a drill can start: an executable file in a folder of its own. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface MongodProgram extends Disposable {
  readonly path: string;
}

export function mongodStandIn(): MongodProgram {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-mongod-'));
  const path = join(folder, 'mongod');
  const program = fileURLToPath(new URL('mongod-stand-in.ts', import.meta.url));
  writeFileSync(path, `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`);
  chmodSync(path, 0o755);
  return { path, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}
