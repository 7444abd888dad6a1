/** A restored copy in a private directory: opened, asked, compared. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../../base/errors.ts';
import { type Check, compareFacts, type Fingerprint } from '../../model/fingerprint.ts';
import type { RestoredCopy, SnapshotContents, SourceContext, Throwaway } from '../driver.ts';
import { algorithms } from './fingerprint.ts';
import { explain, startHolder } from './holder-client.ts';
import type { FingerprintLevel, Opened } from './messages.ts';
import { databaseNode } from './restore-target.ts';
import type { Settings } from './settings.ts';

type Source = SourceContext<Settings>;

export interface Copy {
  readonly throwaway: Throwaway;
  /** The restored file. */
  readonly path: string;
}

/** Restores the file and opens it: the copy is usable when the first query has its answer. */
export async function restoreThrowaway(
  source: Source,
  contents: SnapshotContents,
  throwaway: Throwaway,
): Promise<RestoredCopy> {
  const { path } = await databaseNode(contents, source.settings.path);
  const { bytes } = await contents.writeTree(path, throwaway.directory);
  const copy = { throwaway, path: join(throwaway.directory, await databaseIn(throwaway.directory)) };
  await opened(source, copy, async () => {});
  return {
    bytes,
    compare: (expected) => compareCopy(source, copy, expected),
    query: async (statement) => {
      const { lines } = await opened(source, copy, ({ ask }) => ask({ ask: 'query', statement }));
      return lines.join('\n');
    },
    environment: { HOLDFAST_COPY: copy.path },
    async [Symbol.asyncDispose]() {},
  };
}

/**
 * Checks: `integrity_check` says ok and, if a fingerprint was stored, every fact of it is found again. Without one, integrity
 * is the only check.
 */
export async function compareCopy(source: Source, copy: Copy, expected: Fingerprint | undefined): Promise<Check[]> {
  const level = levelOf(expected);
  if (expected !== undefined && level === undefined) return [unknownAlgorithm(expected)];
  return await opened(source, copy, async ({ ask }) => {
    const { lines } = await ask({ ask: 'integrity' });
    const integrity = { subject: 'database', measure: 'integrity', value: lines.join('; ') };
    if (expected === undefined || level === undefined)
      return compareFacts([{ ...integrity, value: 'ok' }], [integrity]);
    const taken = await ask({ ask: 'fingerprint', level });
    // The taker writes down `ok` as what to expect; here it was measured.
    const others = taken.facts.filter(({ measure }) => measure !== 'integrity');
    return compareFacts(expected.facts, [...others, integrity]);
  });
}

function levelOf(expected: Fingerprint | undefined): Exclude<FingerprintLevel, 'off'> | undefined {
  if (expected?.algorithm === algorithms.full) return 'full';
  return expected?.algorithm === algorithms.counts ? 'counts' : undefined;
}

function unknownAlgorithm(expected: Fingerprint): Check {
  const known = Object.values(algorithms).join(' or ');
  return { subject: 'fingerprint', measure: 'algorithm', expected: expected.algorithm, found: known, ok: false };
}

type Ask = Awaited<ReturnType<typeof startHolder>>['ask'];

/** Opens the one database in the throwaway in a child; what SQLite refuses is a failed drill. */
async function opened<T>(
  source: Source,
  { throwaway, path }: Copy,
  task: (copy: { ask: Ask; opened: Opened }) => Promise<T>,
): Promise<T> {
  await using reader = await startHolder(throwaway.host, source.signal);
  try {
    const found = await reader.ask({ ask: 'open', path, mode: 'own', busyMs: 0 });
    return await task({ ask: (question) => reader.ask(question), opened: found });
  } catch (error) {
    throw explain(error, path);
  }
}

async function databaseIn(directory: string): Promise<string> {
  const names = (await readdir(directory)).filter((name) => !/-(?:wal|shm|journal)$/.test(name));
  if (names.length === 1) return names[0];
  throw new HoldfastError({
    code: 'restore.failed',
    message: `the throwaway directory ${directory} holds ${names.length} files instead of one database`,
    remedy: 'Run the drill again; the directory must be used by nothing else.',
  });
}
