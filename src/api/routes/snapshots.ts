/** What was stored, and getting it back. */
import { diff, difference } from '../../operations/snapshots/diff.ts';
import { find, match } from '../../operations/snapshots/find.ts';
import { ls } from '../../operations/snapshots/ls.ts';
import { nodeView } from '../../operations/snapshots/node-view.ts';
import { pin, unpin } from '../../operations/snapshots/pins.ts';
import { snapshots } from '../../operations/snapshots/snapshots.ts';
import { viewOf } from '../authorize.ts';
import { listRoute, operationRoute } from '../operation-route.ts';
import type { Route } from '../route.ts';

export const snapshotRoutes: readonly Route[] = [
  operationRoute(snapshots, {
    ...{ method: 'get', path: '/api/snapshots', id: 'listSnapshots', tag: 'snapshots' },
    summary: 'List snapshots, oldest first, each with its last proof.',
    where: ({ source, repository }) => ({ ...(source === undefined ? {} : { sources: [source] }), in: repository }),
    filter: ({ snapshots: found, failed }, { uses }) => {
      const view = viewOf(uses.principal, 'viewer', uses.config);
      return {
        snapshots: found.filter((one) => view.source(one.source)),
        failed: failed.filter((one) => view.repository(one.repository)),
      };
    },
  }),
  listRoute(ls, {
    ...{ method: 'get', path: '/api/snapshots/{snapshot}/files', id: 'listFiles', tag: 'snapshots' },
    summary: 'List what is in a snapshot.',
    item: nodeView,
    where: ({ snapshot, repository }) => ({ snapshots: [snapshot], in: repository }),
  }),
  listRoute(diff, {
    ...{ method: 'get', path: '/api/snapshots/{before}/differences/{after}', id: 'diffSnapshots', tag: 'snapshots' },
    summary: 'Compare two snapshots of one repository.',
    item: difference,
    where: ({ before, after, repository }) => ({ snapshots: [before, after], together: true, in: repository }),
  }),
  listRoute(find, {
    ...{ method: 'get', path: '/api/files', id: 'findFiles', tag: 'snapshots' },
    summary: 'Search snapshots for names.',
    item: match,
    where: ({ snapshot, source, repository }) => ({
      ...(snapshot === undefined ? {} : { snapshots: [snapshot] }),
      ...(source === undefined ? {} : { sources: [source] }),
      everything: snapshot === undefined && source === undefined,
      in: repository,
    }),
  }),
  operationRoute(pin, {
    ...{ method: 'post', path: '/api/pins', id: 'pinSnapshots', tag: 'snapshots' },
    summary: 'Never let snapshots be removed by a rule.',
    where: ({ snapshots: named, repository }) => ({ snapshots: named, in: repository }),
  }),
  operationRoute(unpin, {
    ...{ method: 'post', path: '/api/unpins', id: 'unpinSnapshots', tag: 'snapshots' },
    summary: 'Leave snapshots to retention again.',
    where: ({ snapshots: named, repository }) => ({ snapshots: named, in: repository }),
  }),
];
