/** The driver for what a program prints. */
import type { Driver } from '../driver.ts';
import { capture } from './backup.ts';
import { probe } from './probe.ts';
import { restore } from './restore.ts';
import { type Settings, settings } from './settings.ts';
import { restoreThrowaway } from './throwaway.ts';

export const command: Driver<Settings> = {
  name: 'command',
  title: 'Output of a command',
  settings,
  target: 'words',
  probe,
  capture,
  restore,
  restoreThrowaway,
};
