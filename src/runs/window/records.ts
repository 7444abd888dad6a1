/**
 * What has to be started again if this process does not live to do it. One file per window, written before anything is
 * stopped and removed when all runs again. Its name says whose it is: renaming is how another process takes it over.
 */
import { randomBytes } from 'node:crypto';
import { constants, type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError, messageOf, systemCode } from '../../base/errors.ts';
import { stateDirectory } from '../../base/state-directory.ts';
import type { HookStep, StopStep } from '../../model/window.ts';
import { isAlive, ownIdentity } from './owner.ts';

export interface WindowRecord {
  readonly format: 1;
  /** The configuration file it came from. */
  readonly config: string;
  readonly source: string;
  /** The source's host in that configuration. */
  readonly host: string;
  /** Where its services are: the same for all hosts on one machine. Absent in records of earlier versions. */
  readonly machine?: string;
  /** See `claims.ts`. They count while its process lives and works on it; absent while it waits for others. */
  readonly claims?: readonly string[];
  readonly openedAtMs: number;
  /** What was running and is stopped, in the order of stopping. */
  readonly stopped: readonly StopStep[];
  readonly after: readonly HookStep[];
}

const nameForm = /^([0-9a-f]{16})\.(.+)\.json$/;
const mostBytes = 1 << 20;

/** Below the place where this machine keeps state. */
export function windowsDirectory(env: Readonly<Record<string, string | undefined>>): string {
  return join(stateDirectory(env), 'windows');
}

/** A record that this process works on: nobody else does, and nothing else in this process. */
export interface OpenRecord {
  readonly id: string;
  /** Returns when it is on the disk. */
  write(record: WindowRecord): Promise<void>;
  /**
   * What could not be done (absent: as it was written last) is for whoever comes next; this process may be the next. If it
   * cannot be written, this process remembers it, and keeps others from it.
   */
  leave(record?: WindowRecord): Promise<void>;
  remove(): Promise<void>;
}

/** Ids of what this process works on now. */
const inHand = new Set<string>();
/** Ids of what it worked on, and left. */
const leftHere = new Set<string>();
/** What it knows better than the disk, by id: that could not be written. */
const unwritten = new Map<string, WindowRecord>();
/** In place of the owner's name: it belongs to nobody. */
const nobody = 'left';

export async function createRecord(directory: string, record: WindowRecord): Promise<OpenRecord> {
  const id = randomBytes(8).toString('hex');
  const opened = recordAt(directory, id);
  inHand.add(id);
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await opened.write(record);
  } catch (cause) {
    inHand.delete(id);
    throw new HoldfastError({
      code: 'storage.io',
      message: `what has to be started again cannot be written down in ${directory}: ${messageOf(cause)}`,
      remedy: 'Make it writable for this user, or set HOLDFAST_STATE to another directory. Nothing was stopped.',
      cause,
    });
  }
  return opened;
}

/** One of this process. `last` is what it says now. */
function recordAt(directory: string, id: string, last?: WindowRecord): OpenRecord {
  const path = join(directory, `${id}.${ownIdentity()}.json`);
  let known = last;
  const write = async (record: WindowRecord): Promise<void> => {
    const temporary = `${path}.new`;
    await rm(temporary, { force: true });
    {
      await using file = await open(temporary, 'wx', 0o600);
      await file.writeFile(JSON.stringify(record));
      await file.sync();
    }
    await rename(temporary, path);
    await syncDirectory(directory);
    unwritten.delete(id);
    known = record;
  };
  const leave = async (record?: WindowRecord): Promise<void> => {
    const left = record ?? unwritten.get(id);
    if (left) {
      unwritten.set(id, left);
      await write({ ...left, claims: undefined });
    }
    await rename(path, join(directory, `${id}.${nobody}.json`));
    await syncDirectory(directory);
  };
  const remove = async (): Promise<void> => {
    if (known) unwritten.set(id, { ...known, claims: undefined, stopped: [], after: [] });
    await rm(path, { force: true });
    await syncDirectory(directory);
    unwritten.delete(id);
    leftHere.delete(id);
  };
  const letGo = (): boolean => inHand.delete(id);
  return {
    ...{ id, write },
    async leave(record) {
      leftHere.add(id);
      await leave(record).finally(letGo);
    },
    remove: async () => await remove().finally(letGo),
  };
}

export interface LeftRecord {
  readonly name: string;
  readonly id: string;
  /** `undefined` if it cannot be read, or if others than this user could have written it. */
  readonly record: WindowRecord | undefined;
}

/** Records nobody works on; without `own` not those that this process has left, with `all` everything that is there. */
export async function leftRecords(
  directory: string,
  { own = false, all = false }: { readonly own?: boolean; readonly all?: boolean } = {},
): Promise<LeftRecord[]> {
  const left: LeftRecord[] = [];
  for (const { name, id, owner } of await namesIn(directory)) {
    if (!all && (isInWork(id, owner) || (!own && leftHere.has(id)))) continue;
    if (!name.endsWith('.new')) left.push({ name, id, record: await recordNow(directory, { name, id }) });
    // Half written: the one before it counts, or nothing had been stopped yet. Where it cannot be removed it does no harm.
    else if (!isAlive(owner)) await rm(join(directory, name), { force: true }).catch(() => undefined);
  }
  return left;
}

/** Records that a process which lives works on: its window is open, or it closes one that was left. */
export async function recordsInWork(directory: string): Promise<{ id: string; record: WindowRecord }[]> {
  const found: { id: string; record: WindowRecord }[] = [];
  for (const { name, id, owner } of await namesIn(directory)) {
    if (name.endsWith('.new') || !isInWork(id, owner)) continue;
    const record = await readRecord(join(directory, name));
    if (record) found.push({ id, record });
  }
  return found;
}

function isInWork(id: string, owner: string): boolean {
  return owner === ownIdentity() ? inHand.has(id) : isAlive(owner);
}

async function namesIn(directory: string): Promise<{ name: string; id: string; owner: string }[]> {
  const names = await readdir(directory).catch((error: unknown) => {
    if (['ENOENT', 'EACCES', 'ENOTDIR'].includes(systemCode(error) ?? '')) return [];
    throw error;
  });
  return names
    .toSorted((a, b) => a.localeCompare(b))
    .flatMap((name) => {
      const [, id, owner] = nameForm.exec(name.replace(/\.new$/, '')) ?? [];
      return owner === undefined ? [] : [{ name, id, owner }];
    });
}

async function recordNow(
  directory: string,
  { name, id }: Pick<LeftRecord, 'name' | 'id'>,
): Promise<WindowRecord | undefined> {
  return unwritten.get(id) ?? (await readRecord(join(directory, name)));
}

/**
 * With what it says now. `undefined` if somebody was faster, in another process or in this one. Rejects where it cannot be
 * renamed (a read-only disk); it then counts as left by this process.
 */
export async function takeOver(
  directory: string,
  { name, id }: LeftRecord,
): Promise<(OpenRecord & { readonly record: WindowRecord | undefined }) | undefined> {
  if (inHand.has(id)) return undefined;
  inHand.add(id);
  const mine = join(directory, `${id}.${ownIdentity()}.json`);
  try {
    await rename(join(directory, name), mine);
    const record = unwritten.get(id) ?? (await readRecord(mine));
    return { ...recordAt(directory, id, record), record };
  } catch (error) {
    inHand.delete(id);
    if (systemCode(error) !== 'ENOENT') {
      leftHere.add(id);
      throw error;
    }
    leftHere.delete(id);
    unwritten.delete(id);
    return undefined;
  }
}

async function readRecord(path: string): Promise<WindowRecord | undefined> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    if (!(await isTrusted(file))) return undefined;
    const parsed: unknown = JSON.parse(await file.readFile('utf8'));
    return isRecord(parsed) ? parsed : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || systemCode(error) !== undefined) return undefined;
    throw error;
  }
}

/** It names programs to run: only a file that nobody but this user could have written counts. */
async function isTrusted(file: FileHandle): Promise<boolean> {
  const { uid, mode, size } = await file.stat();
  return uid === process.geteuid?.() && (mode & 0o022) === 0 && size <= mostBytes;
}

function isRecord(value: unknown): value is WindowRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { format, stopped, after, ...rest } = value as Partial<Record<keyof WindowRecord, unknown>>;
  const { config, source, host, machine = '', claims = [] } = rest;
  const named = [config, source, host, machine].every((text) => typeof text === 'string');
  return format === 1 && named && [stopped, after, claims].every(Array.isArray);
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r');
  await directory.sync();
}
