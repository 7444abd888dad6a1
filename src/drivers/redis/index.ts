/** The driver for Redis and Valkey. */
import type { Driver } from '../driver.ts';
import { capture } from './backup.ts';
import { probe } from './probe.ts';
import { restore } from './restore.ts';
import { type Settings, settings } from './settings.ts';
import { restoreThrowaway } from './throwaway.ts';

export const redis: Driver<Settings> = {
  name: 'redis',
  title: 'Redis or Valkey server',
  settings,
  target: 'words',
  probe,
  capture,
  restore,
  restoreThrowaway,
};
