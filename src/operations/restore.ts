/** Restore a snapshot, or a part of it. */
import { resolve } from 'node:path';
import { z } from 'zod';
import { HoldfastError } from '../base/errors.ts';
import { printableName } from '../base/names.ts';
import type { AnyDriver, SourceContext } from '../drivers/driver.ts';
import { driverOf, type StoredSnapshot, sourceOf } from '../model/snapshot.ts';
import { openFound, settingsFromSnapshot } from './opened-contents.ts';
import { type Execution, operation, type SourceAccess } from './operation.ts';
import { contextOf, driverNamed } from './source-access.ts';

const input = z.object({
  /** A snapshot, or a source: its newest one. */
  snapshot: z.string(),
  /** In the driver's words: a directory for files, a file for sqlite. */
  to: z.string().optional(),
  /** Back to where it came from, instead of `to`. */
  inPlace: z.boolean().default(false),
  overwrite: z.boolean().default(false),
  include: z.array(z.string()).default([]),
  exclude: z.array(z.string()).default([]),
  dryRun: z.boolean().default(false),
  repository: z.string().optional(),
});
const output = z.object({
  snapshot: z.string(),
  time: z.string(),
  source: z.string().optional(),
  repository: z.string(),
  target: z.string(),
  dryRun: z.boolean(),
  steps: z.array(z.string()),
  files: z.number(),
  bytes: z.number(),
  durationMs: z.number(),
  problems: z.array(z.string()),
});
export type RestoreOutput = z.infer<typeof output>;

type Request = z.infer<typeof input>;

/** Problems are metadata that could not be set; content that could not be restored throws. */
export const restore = operation({
  name: 'restore',
  permission: 'operator',
  input,
  output,
  run: async (request: Request, uses: SourceAccess & Execution): Promise<RestoreOutput> => {
    requireOneTarget(request);
    const startedMs = uses.clock.monotonicMs();
    await using opened = await openFound(request.snapshot, request.repository, uses);
    const { snapshot, contents } = opened;
    const { driver, source } = restoring(snapshot, uses);
    const target = targetOf(request, driver, snapshot);
    const replaces = request.overwrite || request.inPlace;
    const outcome = await driver.restore(source, contents, {
      target,
      dryRun: request.dryRun,
      overwrite: replaces,
      include: request.include,
      exclude: request.exclude,
      existing: replaces ? 'make-equal' : 'refuse',
    });
    return {
      snapshot: snapshot.id,
      time: snapshot.time,
      source: sourceOf(snapshot),
      repository: opened.found.opened.name,
      target,
      dryRun: request.dryRun,
      steps: outcome.steps.map(printableName),
      files: outcome.files,
      bytes: outcome.bytes,
      durationMs: Math.round(uses.clock.monotonicMs() - startedMs),
      problems: [...outcome.problems],
    };
  },
});

function requireOneTarget(request: Request): void {
  if ((request.to === undefined) === request.inPlace) return;
  throw new HoldfastError({
    code: 'usage.invalid',
    message: request.inPlace ? '--to and --in-place exclude each other' : 'no target is named',
    remedy: 'Say where to: --to TARGET, or --in-place to put it back where it came from.',
  });
}

/** The driver that made the snapshot, with the source's settings if it is declared here. What other programs stored are files. */
function restoring(
  snapshot: StoredSnapshot,
  uses: SourceAccess & Execution,
): { driver: AnyDriver; source: SourceContext<unknown> } {
  const driver = driverNamed(uses.drivers, driverOf(snapshot) ?? 'files');
  const declared = uses.config.sources.get(sourceOf(snapshot) ?? '');
  if (declared?.driver === driver.name) return { driver, source: contextOf(declared, uses) };
  const { clock, signal, report } = uses;
  const settings = settingsFromSnapshot(driver, snapshot);
  const name = sourceOf(snapshot) ?? snapshot.paths[0] ?? snapshot.id.slice(0, 8);
  return { driver, source: { name, settings, host: uses.localHost(), clock, signal, report } };
}

function targetOf(request: Request, driver: AnyDriver, snapshot: StoredSnapshot): string {
  if (request.to !== undefined) return resolve(request.to);
  // Files know their absolute paths; a database has one.
  return driver.name === 'files' ? '/' : snapshot.paths[0];
}
