/** How runs ended, on disk until the server has it. No secrets: what an operation gives is what anybody may read of it. */
import { createHash } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { hasCode, systemCode } from '../base/errors.ts';
import { readPrivate, writePrivate } from './private-file.ts';
import { event, type Hold, wireError } from './protocol.ts';

const stored = z.object({
  format: z.literal(1),
  runId: z.string(),
  fence: z.number(),
  operation: z.string(),
  source: z.string().optional(),
  outcome: z.discriminatedUnion('ok', [
    z.object({ ok: z.literal(true), output: z.unknown().optional() }),
    z.object({ ok: z.literal(false), error: wireError }),
  ]),
  startedAtMs: z.number(),
  endedAtMs: z.number(),
  warnings: z.array(z.string()),
  /**
   * What the server had not confirmed by then: told under the same numbers again, it counts once. Absent in what an older
   * version left: then `warnings` are told.
   */
  untold: z
    .object({ from: z.number().int().min(1), events: z.array(event).readonly() })
    .optional()
    .catch(undefined),
});
export type StoredOutcome = z.infer<typeof stored>;

/** Oldest first. One that is damaged is left out: the server closes its run as lost. */
export async function readResults(directory: string): Promise<StoredOutcome[]> {
  const found: StoredOutcome[] = [];
  for (const name of await resultNames(directory)) {
    try {
      const result = await readPrivate(join(directory, name), stored);
      if (result) found.push(result);
    } catch (error) {
      if (!hasCode(error, 'storage.io')) throw error;
    }
  }
  return found.toSorted((a, b) => a.endedAtMs - b.endedAtMs);
}

async function resultNames(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((name) => /^[0-9a-f]{32}\.json$/.test(name));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}

export async function writeResult(directory: string, result: StoredOutcome): Promise<void> {
  await writePrivate(fileOf(directory, result), result);
}

export async function removeResult(directory: string, hold: Hold): Promise<void> {
  await rm(fileOf(directory, hold), { force: true });
}

function fileOf(directory: string, { runId, fence }: Hold): string {
  const name = createHash('sha256').update(`${runId}/${fence}`).digest('hex').slice(0, 32);
  return join(directory, `${name}.json`);
}
