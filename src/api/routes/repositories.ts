/** Where snapshots are stored. */
import { repoList, repoStats, repoUnlock } from '../../operations/repositories/repo.ts';
import { keyList } from '../../operations/repositories/repo-key.ts';
import { viewOf } from '../authorize.ts';
import { operationRoute } from '../operation-route.ts';
import type { Route, Subject } from '../route.ts';

const one = ({ repository }: { readonly repository: string }): Subject => ({ repositories: [repository] });

export const repositoryRoutes: readonly Route[] = [
  operationRoute(repoList, {
    ...{ method: 'get', path: '/api/repositories', id: 'listRepositories', tag: 'repositories' },
    summary: 'List repositories; with `repository`, show one that is opened for it.',
    where: ({ repository }) => (repository === undefined ? {} : { repositories: [repository] }),
    filter: ({ repositories }, { uses }) => {
      const view = viewOf(uses.principal, 'viewer', uses.config);
      return { repositories: repositories.filter(({ name }) => view.repository(name)) };
    },
  }),
  operationRoute(repoStats, {
    ...{ method: 'get', path: '/api/repositories/{repository}/statistics', id: 'showStatistics', tag: 'repositories' },
    summary: 'Sizes, deduplication and compression of a repository.',
    where: one,
  }),
  operationRoute(keyList, {
    ...{ method: 'get', path: '/api/repositories/{repository}/keys', id: 'listKeys', tag: 'repositories' },
    summary: 'List the keys of a repository.',
    where: one,
  }),
  operationRoute(repoUnlock, {
    ...{ method: 'post', path: '/api/repositories/{repository}/unlock', id: 'unlockRepository', tag: 'repositories' },
    summary: 'Remove locks that were left behind.',
    where: one,
  }),
];
