/** The MySQL and MariaDB drivers: one implementation, which says so if it meets the other product. */
import type { Driver } from '../driver.ts';
import { loadOnUse } from '../load-on-use.ts';
import { type Settings, settings } from './settings.ts';

export const mysql: Driver<Settings> = driverOf('mysql', 'MySQL databases');
export const mariadb: Driver<Settings> = driverOf('mariadb', 'MariaDB databases');

function driverOf(name: 'mysql' | 'mariadb', title: string): Driver<Settings> {
  const facts = { name, title, settings, target: 'words' } as const;
  return loadOnUse(facts, async () => (await import('./work.ts')).workFor(name));
}
