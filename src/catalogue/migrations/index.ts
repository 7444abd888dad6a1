/** In this order, each once. One that was released is never changed. */
import type { Migration } from 'kysely/migration';
import { first } from './0001-first.ts';

export const migrations: Readonly<Record<string, Migration>> = { '0001-first': first };
