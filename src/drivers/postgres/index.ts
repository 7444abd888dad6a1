/** The driver for PostgreSQL, by logical dumps. */
import type { Driver } from '../driver.ts';
import { capture } from './backup.ts';
import { probe } from './probe.ts';
import { restore } from './restore.ts';
import { type Settings, settings } from './settings.ts';
import { restoreThrowaway } from './throwaway.ts';

export const postgres: Driver<Settings> = {
  name: 'postgres',
  title: 'PostgreSQL database (logical dump)',
  settings,
  target: 'words',
  probe,
  capture,
  restore,
  restoreThrowaway,
};
