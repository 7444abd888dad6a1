/** What is protected, by what, proven when; and what is not covered at all, or weakly, with what to do about it. */
import { z } from 'zod';
import { formatInstant } from '../../base/clock.ts';
import { compilePatterns } from '../../base/patterns.ts';
import type { Config } from '../../config/index.ts';
import type { DeclaredSource, Gap } from '../../policy/coverage/facts.ts';
import { judgeCoverage } from '../../policy/coverage/judge.ts';
import { type Execution, operation, type SourceAccess } from '../operation.ts';
import { status } from '../status/status.ts';
import { declaredRepositories, declaredSources } from './declared.ts';
import { lookAtMachines } from './look-at.ts';

const input = z.object({
  /** Folders to search for databases, instead of the usual ones. */
  roots: z.array(z.string()).default([]),
  /** Only these machines; `local` is this one. */
  hosts: z.array(z.string()).optional(),
  /** For each machine and each server. */
  timeoutMs: z.number().int().positive().max(600_000).default(20_000),
  /** Patterns of subjects that are no gaps to this person: `volume cache*`. */
  ignore: z.array(z.string()).default([]),
  /** False: judge what is declared alone, look at no machine and ask no server. */
  look: z.boolean().default(true),
});
const gap = z.object({
  /** See docs/coverage.md. */
  kind: z.string(),
  level: z.enum(['uncovered', 'unknown', 'weak']),
  subject: z.string(),
  host: z.string().optional(),
  source: z.string().optional(),
  repository: z.string().optional(),
  message: z.string(),
  remedy: z.string(),
  /** To be merged into the configuration. */
  yaml: z.string().optional(),
});
const row = z.object({
  source: z.string(),
  driver: z.string(),
  host: z.string(),
  policy: z.string().optional(),
  scheduled: z.boolean(),
  drilled: z.boolean(),
  copies: z.array(
    z.object({
      repository: z.string(),
      /** Not on the machine of the source. */
      elsewhere: z.boolean(),
      newest: z.string().optional(),
      proven: z.string().optional(),
    }),
  ),
});
const output = z.object({
  ok: z.boolean(),
  protected: z.array(row),
  /** The worst first. */
  gaps: z.array(gap),
  /** Gaps that `ignore` took out. */
  ignored: z.number(),
  /** Machines that were looked at. */
  looked: z.array(z.object({ host: z.string(), complete: z.boolean(), databases: z.number(), servers: z.number() })),
});
export type CoverageOutput = z.infer<typeof output>;

type Request = z.infer<typeof input>;

export const coverage = operation({
  name: 'coverage',
  permission: 'operator',
  input,
  output,
  run: async (request: Request, uses: SourceAccess & Execution): Promise<CoverageOutput> => {
    const { config } = uses;
    const { look, timeoutMs } = request;
    uses.report({ type: 'stage', stage: 'looking around' });
    const [state, machines] = await Promise.all([
      status.run({}, uses),
      look ? lookAtMachines(request, uses) : { seen: [], silent: [] },
    ]);
    const sources = await declaredSources(state, { timeoutMs, asks: look }, uses);
    const isOwn = ownPaths(config);
    const seen = machines.seen.map((one) => ({ ...one, files: one.files.filter(({ path }) => !isOwn(path)) }));
    const repositories = declaredRepositories(config);
    const gaps = judgeCoverage({ sources, repositories, seen, silent: machines.silent, policy: usualPolicy(config) });
    const isIgnored = ignoring(request.ignore);
    const left = gaps.filter((one) => !isIgnored(one));
    return {
      ok: left.length === 0 && sources.length > 0,
      protected: sources.filter(isProtected).map(rowOf),
      gaps: left.map((one) => ({ ...one })),
      ignored: gaps.length - left.length,
      looked: seen.map(({ host, isComplete, files, servers, containers }) => ({
        ...{ host, complete: isComplete, databases: files.length },
        servers: servers.length + containers.length,
      })),
    };
  },
});

function isProtected({ copies }: DeclaredSource): boolean {
  return copies.some((one) => one.newestMs !== undefined);
}

function rowOf(source: DeclaredSource): CoverageOutput['protected'][number] {
  const { name, driver, host, policy, machine, isScheduled, isDrilled } = source;
  return {
    ...{ source: name, driver, host, policy, scheduled: isScheduled, drilled: isDrilled },
    copies: source.copies.map((one) => ({
      repository: one.repository,
      elsewhere: one.machine !== machine,
      ...(one.newestMs === undefined ? {} : { newest: formatInstant(one.newestMs) }),
      ...(one.provenMs === undefined ? {} : { proven: formatInstant(one.provenMs) }),
    })),
  };
}

/** Our own files: what is in a repository is protected by its copies, and the catalogue is made again from the repositories. */
function ownPaths({ repositories, server }: Config): (path: string) => boolean {
  const folders = [...repositories.values()].map(({ url }) => url).filter((url) => url.startsWith('/'));
  const catalogue = server.catalogue?.kind === 'sqlite' ? server.catalogue.path : undefined;
  return (path) =>
    path === catalogue || /\/holdfast\/catalogue\.db$/.test(path) || folders.some((one) => path.startsWith(`${one}/`));
}

function usualPolicy({ policies, sources }: Config): string | undefined {
  const used = [...sources.values()].flatMap(({ policy }) => (policy === undefined ? [] : [policy]));
  const counts = [...policies.keys()].map((name) => ({ name, count: used.filter((one) => one === name).length }));
  return counts.toSorted((a, b) => b.count - a.count).at(0)?.name;
}

/** Subjects hold slashes, which patterns of paths mean to be folders: here they are letters like others. */
function ignoring(patterns: readonly string[]): (gap: Gap) => boolean {
  const flat = (text: string): string => text.replaceAll('/', '\u2044');
  const set = compilePatterns(patterns.map(flat));
  return ({ subject }) => patterns.length > 0 && set.matches(`/${flat(subject)}`, false);
}
