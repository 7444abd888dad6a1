/** The SQLite driver. */
import type { Driver } from '../driver.ts';
import { loadOnUse } from '../load-on-use.ts';
import { type Settings, settings } from './settings.ts';

const facts = { name: 'sqlite', title: 'SQLite database', settings, target: 'path' } as const;

export const sqlite: Driver<Settings> = loadOnUse(facts, () => import('./work.ts'));
