/** The driver for PostgreSQL, by logical dumps. */
import type { Driver } from '../driver.ts';
import { loadOnUse } from '../load-on-use.ts';
import { type Settings, settings } from './settings.ts';

const facts = { name: 'postgres', title: 'PostgreSQL database (logical dump)', settings, target: 'words' } as const;

export const postgres: Driver<Settings> = loadOnUse(facts, () => import('./work.ts'));
