/** MongoDB: all collections as of one instant, as an archive mongorestore takes, and back into a running server. */
import type { Driver } from '../driver.ts';
import { capture } from './backup.ts';
import { probe } from './probe.ts';
import { restore } from './restore.ts';
import { type Settings, settings } from './settings.ts';
import { restoreThrowaway } from './throwaway.ts';

export const mongodb: Driver<Settings> = {
  name: 'mongodb',
  title: 'MongoDB',
  settings,
  target: 'words',
  probe,
  capture,
  restore,
  restoreThrowaway,
};
