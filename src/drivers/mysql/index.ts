/** The MySQL and MariaDB drivers: one implementation, which says so if it meets the other product. */
import type { Driver } from '../driver.ts';
import { capture } from './backup.ts';
import { probe } from './probe.ts';
import { restore } from './restore.ts';
import { type Flavour, productName } from './server.ts';
import { type Settings, settings } from './settings.ts';
import { restoreThrowaway } from './throwaway.ts';

export const mysql: Driver<Settings> = driverOf('mysql');
export const mariadb: Driver<Settings> = driverOf('mariadb');

function driverOf(flavour: Flavour): Driver<Settings> {
  return {
    name: flavour,
    title: `${productName[flavour]} databases`,
    settings,
    target: 'words',
    probe: (source) => probe(source, flavour),
    capture: (source) => capture(source, flavour),
    restore: (source, contents, request) => restore(source, contents, request, flavour),
    restoreThrowaway: (source, contents, throwaway) => restoreThrowaway(source, contents, throwaway, flavour),
  };
}
