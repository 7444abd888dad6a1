/** Channels: tried out, and what went through them. They are the server's, whoever is told. */
import { notifyList } from '../../operations/notify/notify-list.ts';
import { notifyTest } from '../../operations/notify/notify-test.ts';
import { operationRoute } from '../operation-route.ts';
import type { Route, Subject } from '../route.ts';

const everything = (): Subject => ({ everything: true });

export const notificationRoutes: readonly Route[] = [
  operationRoute(notifyTest, {
    ...{ method: 'post', path: '/api/notifications/test', id: 'testNotifications', tag: 'notifications' },
    summary: 'Send a message through a channel, or through all of them, and see what the other side says.',
    where: everything,
  }),
  operationRoute(notifyList, {
    ...{ method: 'get', path: '/api/notifications', id: 'listNotifications', tag: 'notifications' },
    summary: 'What was told, what waits to be told, and what could not be; newest first.',
    where: everything,
  }),
];
