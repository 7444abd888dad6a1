/** Somebody asks for something to be done: it is queued, and done as soon as the limits allow. */
import { z } from 'zod';
import { HoldfastError } from '../../base/errors.ts';
import { insertRun } from '../../catalogue/runs.ts';
import { defaultWorkspace, isAtLeast, type Role, roleIn } from '../../model/principal.ts';
import { type RunKind, type RunRecord, runKinds } from '../../model/run-record.ts';
import { backup } from '../backup/backup.ts';
import { type CatalogueAccess, operation, type RepositoryAccess } from '../operation.ts';
import { repoCheck, repoPrune } from '../repositories/repo.ts';
import { repoCopy } from '../repositories/repo-copy.ts';
import { drill, drilledIn } from '../snapshots/drill.ts';
import { forget } from '../snapshots/forget.ts';
import { restore } from '../snapshots/restore.ts';
import { chooseSources } from '../sources/source-access.ts';

const operations = { backup, copy: repoCopy, forget, prune: repoPrune, check: repoCheck, drill, restore } as const;

/** What it takes to start a run of a kind: what it takes to do the same by hand. */
export const permissionOfKind: Readonly<Record<RunKind, Role>> = {
  backup: backup.permission,
  copy: repoCopy.permission,
  forget: forget.permission,
  prune: repoPrune.permission,
  check: repoCheck.permission,
  drill: drill.permission,
  restore: restore.permission,
};

const input = z.object({
  kind: z.enum(runKinds),
  /** One run for each; of a drill of a policy's or of all, one for each repository in which it is drilled. */
  sources: z.array(z.string()).default([]),
  policy: z.string().optional(),
  all: z.boolean().default(false),
  repository: z.string().optional(),
  /** Further input of the operation; no secrets. */
  input: z.record(z.string(), z.unknown()).default({}),
});
const output = z.object({
  runs: z.array(
    z.object({
      id: z.string(),
      kind: z.enum(runKinds),
      source: z.string().optional(),
      repository: z.string().optional(),
      state: z.string(),
    }),
  ),
});
export type StartRunOutput = z.infer<typeof output>;

type Request = z.infer<typeof input>;
type Uses = RepositoryAccess & CatalogueAccess;

export const startRun = operation({
  name: 'run start',
  permission: 'operator',
  input,
  output,
  run: async (request: Request, uses: Uses): Promise<StartRunOutput> => {
    const subjects = subjectsOf(request, uses);
    for (const subject of subjects) {
      requireRole(request.kind, subject, uses);
      requireInput(request, subject);
    }
    const runs: RunRecord[] = [];
    for (const { source, repository, host, policy, mayBeAway } of subjects) {
      const about = { source, repository, host, policy };
      const input = mayBeAway ? { ...request.input, mayBeAway } : request.input;
      const asked = { trigger: 'manual', askedBy: uses.principal.name, input } as const;
      runs.push(await insertRun(uses.catalogue, { kind: request.kind, ...about, ...asked }));
    }
    return { runs: runs.map(({ id, kind, source, repository, state }) => ({ id, kind, source, repository, state })) };
  },
});

interface Subject {
  readonly source?: string;
  readonly repository?: string;
  readonly host: string;
  readonly policy?: string;
  readonly workspace: string;
  /** Nobody named the repository: it need not be there. */
  readonly mayBeAway?: true;
}

const ofRepositories: ReadonlySet<RunKind> = new Set(['prune', 'check', 'copy']);

function subjectsOf(request: Request, { config }: Uses): Subject[] {
  const { kind, repository } = request;
  if (repository !== undefined && !config.repositories.has(repository))
    throw unknownRepository(repository, config.file);
  if (ofRepositories.has(kind) && request.sources.length === 0) {
    const name = repository ?? (kind === 'copy' ? String(request.input.to) : undefined);
    const entry = config.repositories.get(name ?? '');
    if (entry)
      return [{ ...(kind === 'copy' ? {} : { repository: entry.name }), host: 'local', workspace: entry.workspace }];
    throw unknownRepository(name ?? '', config.file);
  }
  return chooseSources(config, request).flatMap((source): Subject[] => {
    const { name, host, policy, workspace } = source;
    const about = { source: name, host, policy, workspace };
    if (repository !== undefined) return [{ ...about, repository }];
    if (kind !== 'drill' || !(request.all || request.policy !== undefined)) return [about];
    return drilledIn(source).map((place) => {
      const mayBeAway = config.repositories.get(place)?.mayBeAwayMs !== undefined;
      return { ...about, repository: place, ...(mayBeAway ? { mayBeAway } : {}) };
    });
  });
}

function unknownRepository(name: string, file: string): HoldfastError {
  return new HoldfastError({
    code: 'config.unknown-name',
    message: name === '' ? 'no repository is named' : `there is no repository «${name}» in ${file}`,
    remedy: 'Name one that the configuration declares.',
  });
}

function requireRole(kind: RunKind, subject: Subject, { principal }: Uses): void {
  const needed = permissionOfKind[kind];
  const { workspace = defaultWorkspace, source, repository } = subject;
  const isForIt = principal.sources === undefined || (source !== undefined && principal.sources.has(source));
  if (isForIt && isAtLeast(roleIn(principal, workspace), needed)) return;
  throw new HoldfastError({
    code: 'auth.forbidden',
    message: `${principal.name} may not start a ${kind} of ${source ?? repository ?? 'this'}: it needs the role ${needed} there`,
    remedy: 'Ask somebody who has it.',
    context: { role: needed },
  });
}

/** The input of a run is kept and shown. In time that grows with the length alone: the text comes from anyone. */
const passwordOfUser = /^[a-z][a-z0-9+.-]*:\/\/[^/?#\s:]*:[^/?#\s]*@/i;
const passwordInQuery = /[?&]\w{0,40}password=/i;

export function holdsPassword(text: string): boolean {
  return passwordOfUser.test(text) || (/^[a-z][a-z0-9+.-]*:\/\//i.test(text) && passwordInQuery.test(text));
}

/** What the operation would refuse is refused now, not when its turn comes. */
function requireInput({ kind, input: given }: Request, { source, repository }: Subject): void {
  if (
    Object.values(given)
      .flat()
      .some((value) => typeof value === 'string' && holdsPassword(value))
  ) {
    throw new HoldfastError({
      code: 'request.invalid',
      message: 'the input holds a password in a URL',
      remedy: 'Name a declared source to restore to: its password is read from where the configuration says.',
    });
  }
  const named = { targets: source === undefined ? [] : [source], sources: source === undefined ? [] : [source] };
  const snapshot = given.snapshot ?? source;
  const whole = {
    ...named,
    ...given,
    ...(repository === undefined ? {} : { repository }),
    ...(snapshot === undefined ? {} : { snapshot }),
  };
  const parsed = operations[kind].input.safeParse(whole);
  if (parsed.success) return;
  const [issue] = parsed.error.issues;
  throw new HoldfastError({
    code: 'request.invalid',
    message: `${operations[kind].name}: ${issue.path.join('.')}: ${issue.message}`,
    remedy: `See what a ${kind} takes: holdfast ${operations[kind].name} --help`,
  });
}
