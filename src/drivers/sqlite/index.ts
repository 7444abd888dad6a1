/** The SQLite driver. */
import type { Driver } from '../driver.ts';
import { capture } from './backup.ts';
import { probe } from './probe.ts';
import { restore } from './restore.ts';
import { type Settings, settings } from './settings.ts';
import { restoreThrowaway } from './throwaway.ts';

export const sqlite: Driver<Settings> = {
  name: 'sqlite',
  title: 'SQLite database',
  settings,
  target: 'path',
  probe,
  capture,
  restore,
  restoreThrowaway,
};
