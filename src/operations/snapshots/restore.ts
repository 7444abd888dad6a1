/** Restore a snapshot, or a part of it. */
import { resolve } from 'node:path';
import { z } from 'zod';
import { HoldfastError } from '../../base/errors.ts';
import { printableName } from '../../base/names.ts';
import type { SourceEntry } from '../../config/index.ts';
import type { AnyDriver, SourceContext } from '../../drivers/driver.ts';
import type { Host } from '../../hosts/host.ts';
import { sourceOf } from '../../model/snapshot.ts';
import { type Execution, operation, type SourceAccess } from '../operation.ts';
import { HostPool } from '../sources/host-pool.ts';
import { contextOf, sourceOfSnapshot } from '../sources/source-access.ts';
import { openFound } from './opened-contents.ts';

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
    await using hosts = new HostPool(uses);
    const { driver, source } = await sourceOfSnapshot(
      snapshot,
      { ...uses, hosts },
      (one) => one.target === 'path' && request.to !== undefined,
    );
    const into = namedSource(request, driver, uses);
    const place = await placeOf(request, driver, { ...uses, hosts, source });
    // Files and a database file are put back by making them equal; a server keeps what it has aside unless told otherwise.
    const replaces = request.overwrite || (request.inPlace && driver.target === 'path');
    const outcome = await driver.restore(source, contents, {
      ...(into ? { host: source.host } : place),
      targetSource: into && (await contextOf(into, { ...uses, hosts })),
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
      target: into?.name ?? place.target ?? 'where it came from',
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

/** A source of the same driver is named to restore to its place, with its host and password. */
function namedSource(request: Request, driver: AnyDriver, { config }: SourceAccess): SourceEntry | undefined {
  const named = request.to === undefined ? undefined : config.sources.get(request.to);
  return named?.driver === driver.name && driver.target === 'words' ? named : undefined;
}

/** Where to, in the driver's words, and on which machine: `NAME:/path` is a path on one of the hosts, other paths are on this machine. */
async function placeOf(
  { to }: Request,
  driver: AnyDriver,
  { config, hosts, source }: SourceAccess & { hosts: HostPool; source: SourceContext<unknown> },
): Promise<{ host: Host; target?: string }> {
  if (to === undefined || driver.target === 'words') return { host: source.host, target: to };
  if (config.sources.has(to)) throw noPath(to);
  const remote = /^([^/:]+):(\/.*)$/.exec(to);
  if (remote && config.hosts.has(remote[1])) return { host: await hosts.get(remote[1]), target: remote[2] };
  return { host: hosts.local, target: resolve(to) };
}

/** Who may restore to sources only names one of them: that must not become a path beside where this process runs. */
function noPath(source: string): HoldfastError {
  return new HoldfastError({
    code: 'restore.target-invalid',
    message: `«${source}» is the name of a source, and a path is needed`,
    remedy: `Write ./${source} for a path of that name; what a source had goes back to its own place with --in-place.`,
  });
}
