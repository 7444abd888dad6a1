/** Look around this machine and write a commented `holdfast.yaml` with a password of its own. Nothing is ever overwritten. */
import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { HoldfastError, hasCode, systemCode } from '../../base/errors.ts';
import type { Secret } from '../../base/secrets.ts';
import { parseConfig, readSecret } from '../../config/index.ts';
import { openRepository } from '../../repository/index.ts';
import { openStorage, redactUrl } from '../../storage/open.ts';
import { existsAlready, writeNew, writeNewSecret } from '../new-file.ts';
import { type Execution, operation, type SourceAccess } from '../operation.ts';
import { starterConfig } from './init-text.ts';
import { lookAround, usualRoots } from './look-around.ts';

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

type Uses = Pick<SourceAccess, 'drivers' | 'storageKinds' | 'hostKinds' | 'channelKinds' | 'env'> & Execution;

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
    await requireOwnRepository(config.repositories.values().next().value!.url, passwordFile, uses);
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

/** A repository that is there already keeps its password: a new one would be written next to what it does not open. */
async function requireOwnRepository(url: string, passwordFile: string, uses: Uses): Promise<void> {
  const storage = await openStorage(uses.storageKinds, url, { create: false }).catch((error: unknown) => {
    // No directory, no answer, no credentials yet: «repo init» is the one to judge.
    if (error instanceof HoldfastError) return undefined;
    throw error;
  });
  if (!storage) return;
  try {
    if ((await storage.stat('config')) === undefined) return;
    const password = await readPassword(passwordFile);
    await openRepository({ storage, password, clock: uses.clock });
  } catch (cause) {
    if (hasCode(cause, 'storage.not-found', 'storage.unreachable')) return;
    if (!hasCode(cause, 'secret.unavailable', 'repository.wrong-password')) throw cause;
    throw new HoldfastError({
      code: 'repository.exists',
      message: `there is a repository at ${storage.location} already, and ${passwordFile} does not hold its password`,
      remedy: `Carry on from it with: holdfast init --from ${redactUrl(url)}. Its password is never made anew.`,
      cause,
    });
  } finally {
    await storage.close();
  }
}

async function readPassword(file: string): Promise<Secret> {
  const noPrograms = (): never => {
    throw new Error('a file is read without any program');
  };
  return await readSecret({ from: 'file', path: file }, 'the repository', { env: {}, run: noPrograms });
}

/** 256 random bits, readable by nobody else. True if it was made, false if there was one. */
async function makePassword(file: string): Promise<boolean> {
  if (await writeNewSecret(file, randomBytes(32).toString('base64url'))) return true;
  // One that is empty is a loss to be noticed now, not when it is needed.
  await readPassword(file);
  return false;
}
