/** A restored copy in a private directory: opened, asked, compared. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../../base/errors.ts';
import { type Check, compareFacts, type Fingerprint } from '../../model/fingerprint.ts';
import type { SnapshotContents, SourceContext, Throwaway } from '../driver.ts';
import { algorithms } from './fingerprint.ts';
import { explain, startHolder } from './holder-client.ts';
import type { FingerprintLevel, Opened } from './messages.ts';
import { requireLocal } from './place.ts';
import { databaseNode } from './restore.ts';
import type { Settings } from './settings.ts';

type Source = SourceContext<Settings>;

/** Restores the file and opens it: the copy is usable when the first query has its answer. */
export async function restoreThrowaway(source: Source, contents: SnapshotContents, throwaway: Throwaway) {
  requireLocal(source.host);
  const { path } = await databaseNode(contents, source.settings.path);
  const { bytes } = await contents.writeTree(path, throwaway.directory);
  await opened(source, throwaway, async () => {});
  return { bytes };
}

/**
 * Checks: `integrity_check` says ok and, if a fingerprint was stored, every fact of it is found again. Without one, integrity
 * is the only check.
 */
export async function compareThrowaway(
  source: Source,
  _contents: SnapshotContents,
  throwaway: Throwaway,
  expected: Fingerprint | undefined,
): Promise<Check[]> {
  const level = levelOf(expected);
  if (expected !== undefined && level === undefined) return [unknownAlgorithm(expected)];
  return await opened(source, throwaway, async ({ ask }) => {
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
  { directory }: Throwaway,
  task: (copy: { ask: Ask; opened: Opened }) => Promise<T>,
): Promise<T> {
  const path = join(directory, await databaseIn(directory));
  await using reader = await startHolder(source.host, source.signal);
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
