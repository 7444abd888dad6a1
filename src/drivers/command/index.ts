/** The driver for what a program prints. */
import type { Driver } from '../driver.ts';
import { loadOnUse } from '../load-on-use.ts';
import { type Settings, settings } from './settings.ts';

const facts = { name: 'command', title: 'Output of a command', settings, target: 'words' } as const;

export const command: Driver<Settings> = loadOnUse(facts, () => import('./work.ts'));
