/** MongoDB: all collections as of one instant, as an archive mongorestore takes, and back into a running server. */
import type { Driver } from '../driver.ts';
import { loadOnUse } from '../load-on-use.ts';
import { type Settings, settings } from './settings.ts';

const facts = { name: 'mongodb', title: 'MongoDB', settings, target: 'words' } as const;

export const mongodb: Driver<Settings> = loadOnUse(facts, () => import('./work.ts'));
