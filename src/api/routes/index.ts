/** Every route there is. */
import type { Route } from '../route.ts';
import { agentRoutes } from './agents.ts';
import { configurationRoutes } from './configuration.ts';
import { downloadRoutes } from './downloads.ts';
import { meRoutes } from './me.ts';
import { notificationRoutes } from './notifications.ts';
import { peopleRoutes } from './people.ts';
import { repositoryRoutes } from './repositories.ts';
import { runRoutes } from './runs.ts';
import { serverRoutes } from './server.ts';
import { signInRoutes } from './sign-in.ts';
import { snapshotRoutes } from './snapshots.ts';
import { sourceRoutes } from './sources.ts';
import { startRoutes } from './start-runs.ts';
import { statusRoutes } from './status.ts';
import { streamRoutes } from './streams.ts';

export const routes: readonly Route[] = [
  ...statusRoutes,
  ...sourceRoutes,
  ...repositoryRoutes,
  ...snapshotRoutes,
  ...downloadRoutes,
  ...startRoutes,
  ...runRoutes,
  ...configurationRoutes,
  ...notificationRoutes,
  ...agentRoutes,
  ...peopleRoutes,
  ...streamRoutes,
  ...signInRoutes,
  ...meRoutes,
  ...serverRoutes,
];
