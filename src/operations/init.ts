/** Look around this machine and write a commented `holdfast.yaml` with a password of its own. Nothing is ever overwritten. */
import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { systemCode } from '../base/errors.ts';
import { parseConfig } from '../config/index.ts';
import { starterConfig } from './init-text.ts';
import { lookAround } from './look-around.ts';
import { existsAlready, writeNew, writeNewSecret } from './new-file.ts';
import { type Execution, operation, type SourceAccess } from './operation.ts';

const input = z.object({
  file: z.string(),
  /** Where the repository will be. */
  repository: z.string().optional(),
  passwordFile: z.string().optional(),
  /** Where to look for databases. */
  roots: z.array(z.string()).default([]),
});
const output = z.object({
  file: z.string(),
  passwordFile: z.string(),
  /** False if there was one already, which is then used as it is. */
  passwordMade: z.boolean(),
  repository: z.string(),
  sources: z.array(z.string()),
  databases: z.array(z.object({ path: z.string(), sizeBytes: z.number() })),
  composeFiles: z.array(z.string()),
  servers: z.array(z.object({ kind: z.string(), path: z.string() })),
  incomplete: z.boolean(),
});
export type InitOutput = z.infer<typeof output>;

const usualRoots = ['/srv', '/opt', '/var/lib', '/var/www', '/data', '/home', '/root'];

type Uses = Pick<SourceAccess, 'drivers' | 'storageKinds' | 'hostKinds' | 'env'> & Execution;

export const init = operation({
  name: 'init',
  permission: 'owner',
  input,
  output,
  run: async (request: z.infer<typeof input>, uses: Uses): Promise<InitOutput> => {
    const file = resolve(request.file);
    await refuseExisting(file);
    const isRoot = process.getuid?.() === 0;
    const configHome = uses.env.XDG_CONFIG_HOME || join(homedir(), '.config');
    const passwordFile = resolve(request.passwordFile ?? join(configHome, 'holdfast', 'password'));
    const repository = request.repository ?? (isRoot ? '/var/backups/holdfast' : join(homedir(), 'holdfast-backups'));
    const roots = request.roots.length > 0 ? request.roots.map((root) => resolve(root)) : usualRoots;
    uses.report({ type: 'stage', stage: 'looking around' });
    const found = await lookAround({ roots, clock: uses.clock, signal: uses.signal });
    const text = starterConfig({ repository, passwordFile, isRoot, ...found });
    // Whatever was found, what is written has to be right.
    const config = parseConfig(file, Buffer.from(text), uses);
    const passwordMade = await makePassword(passwordFile);
    await writeNew(file, text, 0o644);
    return {
      file,
      passwordFile,
      passwordMade,
      repository,
      sources: [...config.sources.keys()],
      databases: found.databases.map((one) => ({ ...one })),
      composeFiles: [...found.composeFiles],
      servers: found.servers.map((one) => ({ ...one })),
      incomplete: found.incomplete,
    };
  },
});

async function refuseExisting(file: string): Promise<void> {
  try {
    await (await open(file, 'r')).close();
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return;
  }
  throw existsAlready(file);
}

/** 256 random bits, readable by nobody else. True if it was made, false if there was one. */
async function makePassword(file: string): Promise<boolean> {
  return await writeNewSecret(file, randomBytes(32).toString('base64url'));
}
