/** The driver for Redis and Valkey. */
import type { Driver } from '../driver.ts';
import { loadOnUse } from '../load-on-use.ts';
import { type Settings, settings } from './settings.ts';

const facts = { name: 'redis', title: 'Redis or Valkey server', settings, target: 'words' } as const;

export const redis: Driver<Settings> = loadOnUse(facts, () => import('./work.ts'));
