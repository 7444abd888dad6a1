/** Driver for directories and files. */
import type { Driver } from '../driver.ts';
import { loadOnUse } from '../load-on-use.ts';
import { type FilesSettings, filesSettings } from './settings.ts';

const facts = { name: 'files', title: 'Files', settings: filesSettings, target: 'path' } as const;

export const filesDriver: Driver<FilesSettings> = loadOnUse(facts, () => import('./work.ts'));
