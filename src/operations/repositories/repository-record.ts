/**
 * What this machine remembers of a declared repository, for when it is not there to be asked: when it was seen last and what
 * was in it, how the last copy into it and the last check of it ended. Nothing is decided by it but what to say: losing it
 * loses no data.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf, systemCode } from '../../base/errors.ts';
import { stateDirectory } from '../../base/state-directory.ts';
import { type StoredSnapshot, sourceOf } from '../../model/snapshot.ts';
import type { CheckResult } from '../../repository/index.ts';
import type { Execution, RepositoryAccess } from '../operation.ts';

const record = z.object({
  format: z.literal(1),
  /** The configuration that declares it, and its name there: for people who look. */
  config: z.string(),
  repository: z.string(),
  seen: z
    .object({
      atMs: z.number(),
      /** Of the repository: another disk may be mounted in the same place. */
      id: z.string(),
      /** Time of the newest snapshot by source. */
      newest: z.record(z.string(), z.number()),
    })
    .optional(),
  lastCopy: z
    .object({ atMs: z.number(), from: z.string(), ok: z.boolean(), copied: z.number(), message: z.string().optional() })
    .optional(),
  lastCheck: z
    .object({ atMs: z.number(), ok: z.boolean(), errors: z.number(), data: z.enum(['none', 'part', 'all']) })
    .optional(),
});
export type RepositoryRecord = z.infer<typeof record>;
type Facts = Partial<Pick<RepositoryRecord, 'seen' | 'lastCopy' | 'lastCheck'>>;
type Uses = Pick<RepositoryAccess, 'config' | 'env'> & Pick<Execution, 'report'>;

/** `undefined` if nothing is remembered. What cannot be read is reported and counts as nothing. */
export async function readRecord(name: string, uses: Uses): Promise<RepositoryRecord | undefined> {
  const file = fileOf(name, uses);
  try {
    return record.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    if (systemCode(error) !== 'ENOENT')
      warn(`what was known of the repository ${name} cannot be read from ${file}`, error, uses);
    return undefined;
  }
}

/** By file: what is being written. Runs of one server end at the same time, and each keeps what the others found. */
const writing = new Map<string, Promise<void>>();

/** Replaces the facts that are given. What cannot be written is reported: no run fails for it. Only of declared repositories. */
export async function remember(name: string, facts: Facts, uses: Uses): Promise<void> {
  if (!uses.config.repositories.has(name)) return;
  const file = fileOf(name, uses);
  const mine = (writing.get(file) ?? Promise.resolve()).then(() => write(name, facts, uses));
  writing.set(file, mine);
  await mine;
  if (writing.get(file) === mine) writing.delete(file);
}

async function write(name: string, facts: Facts, uses: Uses): Promise<void> {
  const file = fileOf(name, uses);
  const temporary = `${file}.${randomBytes(6).toString('hex')}`;
  const known = await readRecord(name, uses);
  const next: RepositoryRecord = { ...known, ...facts, format: 1, config: uses.config.file, repository: name };
  try {
    await mkdir(directoryOf(uses), { recursive: true, mode: 0o700 });
    await writeFile(temporary, JSON.stringify(next), { mode: 0o600, flag: 'wx', flush: true });
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined); // the directory may not even be there
    warn(`what is known of the repository ${name} cannot be written to ${file}`, error, uses);
  }
}

/** A backup was stored in a repository that may be away: it was there, and this is what is new in it. */
export async function rememberStored(
  name: string,
  { id, snapshot }: { readonly id: string; readonly snapshot: StoredSnapshot },
  uses: Uses,
): Promise<void> {
  if (uses.config.repositories.get(name)?.mayBeAwayMs === undefined) return;
  const known = (await readRecord(name, uses))?.seen;
  const { newest } = seen(id, [snapshot], snapshot.timeMs);
  const others = known?.id === id ? known.newest : {};
  await remember(name, { seen: { atMs: snapshot.timeMs, id, newest: { ...others, ...newest } } }, uses);
}

/** A check ended; `counts.packsRead` says how much of the data it read. */
export async function rememberCheck(
  name: string,
  { errors, moreErrors, counts }: Pick<CheckResult, 'errors' | 'moreErrors' | 'counts'>,
  uses: Uses & Pick<Execution, 'clock'>,
): Promise<void> {
  const { packs, packsRead } = counts;
  const data = packsRead === 0 ? 'none' : packsRead < packs ? 'part' : 'all';
  const found = errors.length + moreErrors;
  await remember(name, { lastCheck: { atMs: uses.clock.nowMs(), ok: found === 0, errors: found, data } }, uses);
}

/** What is in a repository now. */
export function seen(id: string, snapshots: readonly StoredSnapshot[], nowMs: number): NonNullable<Facts['seen']> {
  const newest: Record<string, number> = {};
  for (const one of snapshots) {
    const source = sourceOf(one);
    if (source !== undefined) newest[source] = Math.max(newest[source] ?? Number.NEGATIVE_INFINITY, one.timeMs);
  }
  return { atMs: nowMs, id, newest };
}

function directoryOf({ env }: Uses): string {
  return join(stateDirectory(env), 'repositories');
}

function fileOf(name: string, uses: Uses): string {
  const key = createHash('sha256')
    .update(JSON.stringify([uses.config.file, name]))
    .digest('hex')
    .slice(0, 16);
  return join(directoryOf(uses), `${key}.json`);
}

function warn(what: string, error: unknown, { report }: Uses): void {
  report({ type: 'warning', code: 'storage.io', message: `${what}: ${messageOf(error)}` });
}
