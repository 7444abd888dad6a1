/** What takes long: it is begun, and the run that does it is answered. */
import { posix } from 'node:path';
import { HoldfastError } from '../../base/errors.ts';
import { sourceOf } from '../../model/snapshot.ts';
import { backup } from '../../operations/backup/backup.ts';
import { repoCheck, repoPrune } from '../../operations/repositories/repo.ts';
import { repoCopy } from '../../operations/repositories/repo-copy.ts';
import { drill } from '../../operations/snapshots/drill.ts';
import { forget } from '../../operations/snapshots/forget.ts';
import { restore } from '../../operations/snapshots/restore.ts';
import { openSnapshot } from '../../operations/snapshots/snapshot-access.ts';
import { isEverywhere, requireSubject } from '../authorize.ts';
import { operationRoute } from '../operation-route.ts';
import type { Call, Route, Subject } from '../route.ts';
import { type About, runRoute } from '../run-route.ts';

interface Choice {
  readonly policy?: string;
  readonly all?: boolean;
}

function subjectOf(names: readonly string[], { policy, all }: Choice, repository?: string): Subject {
  return {
    sources: names,
    ...(policy === undefined ? {} : { policies: [policy] }),
    ...(all ? { everything: true } : {}),
    ...(repository === undefined ? {} : { repositories: [repository] }),
  };
}

const restoreOptions = {
  where: ({ snapshot, repository }: { readonly snapshot: string; readonly repository?: string }): Subject => ({
    snapshots: [snapshot],
    in: repository,
  }),
  check: requireTarget,
};

export const startRoutes: readonly Route[] = [
  runRoute(backup, {
    ...{ method: 'post', path: '/api/runs/backup', id: 'startBackup', tag: 'runs', kind: 'backup' },
    summary: 'Back sources up: one run for each.',
    where: ({ sources, repository, ...choice }) => subjectOf(sources, choice, repository),
    about: ({ sources, policy, all, repository }) => ({ sources, policy, all, repository }),
    rest: ({ force, compression, lockWaitMs }) => ({ force, compression, lockWaitMs }),
  }),
  runRoute(drill, {
    ...{ method: 'post', path: '/api/runs/drill', id: 'startDrill', tag: 'runs', kind: 'drill' },
    summary: 'Prove snapshots by restoring them: the newest of sources, or one that is named.',
    // A folder of the server is not for those who only see its API.
    without: ['place'],
    where: ({ targets, repository, ...choice }) => ({ ...choiceOf(choice), targets, in: repository }),
    about: async ({ targets, policy, all, repository }, call) => ({
      ...(await sourcesOf(targets, repository, call)),
      ...{ policy, all, repository },
    }),
    rest: ({ targets }) => ({ snapshot: targets.length === 1 ? targets[0] : undefined }),
  }),
  runRoute(repoCheck, {
    ...{ method: 'post', path: '/api/repositories/{repository}/check', id: 'startCheck', tag: 'runs', kind: 'check' },
    summary: 'Check a repository.',
    where: ({ repository }) => ({ repositories: [repository] }),
    about: ({ repository }) => ({ repository }),
    rest: ({ repository: _, ...rest }) => rest,
  }),
  runRoute(repoPrune, {
    ...{ method: 'post', path: '/api/repositories/{repository}/prune', id: 'startPrune', tag: 'runs', kind: 'prune' },
    summary: 'Free the space of what was forgotten.',
    where: ({ repository }) => ({ repositories: [repository] }),
    about: ({ repository }) => ({ repository }),
    rest: ({ repository: _, ...rest }) => rest,
  }),
  runRoute(repoCopy, {
    ...{ method: 'post', path: '/api/repositories/{from}/copies', id: 'startCopy', tag: 'runs', kind: 'copy' },
    summary: 'Copy snapshots into another repository.',
    where: ({ from, to, sources }) => ({ repositories: [from, to], sources }),
    about: () => ({}),
    rest: (input) => input,
  }),
  runRoute(restore, {
    ...{ method: 'post', path: '/api/runs/restore', id: 'startRestore', tag: 'runs', kind: 'restore' },
    summary: 'Restore a snapshot, or a part of it, where the server reaches.',
    ...restoreOptions,
    about: async ({ snapshot, repository }, call) => ({
      ...(await sourcesOf([snapshot], repository, call)),
      repository,
    }),
    rest: ({ repository: _, ...rest }) => rest,
  }),
  operationRoute(restore, {
    ...{ method: 'post', path: '/api/restores/preview', id: 'previewRestore', tag: 'snapshots' },
    summary: 'What a restore would do; nothing is touched.',
    fixed: { dryRun: true },
    unnamed: true,
    ...restoreOptions,
  }),
  operationRoute(forget, {
    ...{ method: 'post', path: '/api/snapshots/forget', id: 'forgetSnapshots', tag: 'snapshots' },
    summary: 'Remove snapshots by rule or by name; with `dryRun`, only say which.',
    // That takes long, and is a run of its own.
    without: ['prune'],
    where: ({ targets, repository, ...choice }) => ({ ...choiceOf(choice), targets, in: repository }),
    // A policy may be used by sources of other workspaces: each has to be the caller's to remove from.
    check: ({ policy }, { uses: { principal, config } }) => {
      if (policy === undefined) return;
      const users = [...config.sources.values()].filter((one) => one.policy === policy).map((one) => one.name);
      requireSubject(principal, forget.permission, { sources: users }, config);
    },
  }),
];

function choiceOf({ policy, all }: Choice): Subject {
  return { ...(policy === undefined ? {} : { policies: [policy] }), ...(all ? { everything: true } : {}) };
}

/** A run belongs to a source. Snapshots of several at once would be several runs with one answer each: one at a time. */
async function sourcesOf(targets: readonly string[], repository: string | undefined, { uses }: Call): Promise<About> {
  const { sources } = uses.config;
  const plain = (target: string): string => target.replace(/@[^@]*$/, '');
  if (targets.every((one) => sources.has(one))) return { sources: targets };
  if (targets.length > 1) {
    throw new HoldfastError({
      code: 'request.invalid',
      message: 'several snapshots at once are several runs',
      remedy: 'Name sources, or one snapshot at a time.',
    });
  }
  const [wanted] = targets;
  if (sources.has(plain(wanted))) return { sources: [plain(wanted)] };
  await using found = await openSnapshot(wanted, repository, uses);
  const source = sourceOf(found.snapshot);
  if (source !== undefined && sources.has(source)) return { sources: [source] };
  throw new HoldfastError({
    code: 'config.unknown-name',
    message: `the source ${source === undefined ? 'of this snapshot' : `«${source}»`} is not declared in ${uses.config.file}`,
    remedy: 'Declare it, or use the command line on the machine of the server.',
  });
}

/**
 * Whoever may write to any path of the server, or reach any database with its passwords, has more than a role in one
 * workspace: who has only that restores to where things came from, or to a declared source of that workspace.
 */
function requireTarget({ to }: { readonly to?: string }, { uses }: Call): void {
  const { principal, config } = uses;
  if (to === undefined || isEverywhere(principal, 'operator')) return;
  if (config.sources.has(to)) {
    requireSubject(principal, 'operator', { sources: [to] }, config);
    return;
  }
  throw new HoldfastError({
    code: 'auth.forbidden',
    message: `${principal.name} may not restore to ${posix.isAbsolute(to) ? 'a path of the server' : 'a place of its own choice'}: that needs the role operator in every workspace`,
    remedy: 'Restore in place, to a declared source, or download the files.',
  });
}
