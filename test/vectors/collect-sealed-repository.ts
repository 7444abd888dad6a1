/** Writes a small restic repository as one document: its files in base64, and the files its newest snapshot holds. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const text = { type: 'string' } as const;
const { repository, tree, out } = parseArgs({ options: { repository: text, tree: text, out: text } }).values;
if (!repository || !tree || !out) throw new Error('needs --repository, --tree and --out');

/** Path below the directory, its bytes as latin1 → content in base64. */
function filesBelow(directory: string, path: Buffer = Buffer.alloc(0)): [string, string][] {
  const place = (name: Buffer): Buffer => (path.length === 0 ? name : Buffer.concat([path, Buffer.from('/'), name]));
  const entries = readdirSync(Buffer.concat([Buffer.from(`${directory}/`), path]), {
    encoding: 'buffer',
    withFileTypes: true,
  });
  return entries.flatMap((entry): [string, string][] => {
    const inner = place(entry.name);
    if (entry.isDirectory()) return filesBelow(directory, inner);
    const bytes = readFileSync(Buffer.concat([Buffer.from(`${directory}/`), inner]));
    return [[inner.toString('latin1'), bytes.toString('base64')]];
  });
}

const document = {
  password: process.env.RESTIC_PASSWORD,
  objects: Object.fromEntries(filesBelow(repository)),
  newest: Object.fromEntries(filesBelow(tree)),
};
writeFileSync(join(out), `${JSON.stringify(document, null, 1)}\n`);
