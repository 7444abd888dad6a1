/** Every kind of source this program knows. */
import { command } from './command/index.ts';
import type { AnyDriver } from './driver.ts';
import { filesDriver } from './files/index.ts';
import { mongodb } from './mongodb/index.ts';
import { mariadb, mysql } from './mysql/index.ts';
import { postgres } from './postgres/index.ts';
import { redis } from './redis/index.ts';
import { sqlite } from './sqlite/index.ts';

export const drivers: readonly AnyDriver[] = [command, filesDriver, mariadb, mongodb, mysql, postgres, redis, sqlite];
