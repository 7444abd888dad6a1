/** Every kind of source this program knows. */
import type { AnyDriver } from './driver.ts';
import { filesDriver } from './files/index.ts';
import { redis } from './redis/index.ts';
import { sqlite } from './sqlite/index.ts';

export const drivers: readonly AnyDriver[] = [filesDriver, redis, sqlite];
