/** Settings of a SQLite source. */
import { z } from 'zod';

export const settings = z.strictObject({
  path: z
    .string()
    .regex(/^\/(?!.*(?:^|\/)\.\.?(?:\/|$)).*[^/]$/, 'an absolute path of a file, without . or ..')
    .describe('The database file, e.g. /srv/tracker/tracker.db. Attached databases are sources of their own.'),
  fingerprint: z
    .enum(['full', 'counts', 'off'])
    .default('full')
    .describe(
      'What drills compare: every value of every row, row counts only, or nothing but integrity. It is taken while the read transaction is held, about 100 MB of small rows or 600 MB of large values a second.',
    ),
  maxWalBytes: z
    .number()
    .int()
    .positive()
    .optional()
    .describe(
      'WAL mode: how many bytes the write-ahead log may grow during a backup before the backup gives up. Default: 1 GiB, or a quarter of the free disk space if that is more.',
    ),
  copyFirst: z
    .boolean()
    .default(false)
    .describe(
      'WAL mode on this machine: first a copy to spoolDirectory at the speed of the disk, then the read transaction ends and the copy is stored. For slow storages: the write-ahead log grows only while the copy is made.',
    ),
  maxWriterPauseMs: z
    .number()
    .int()
    .positive()
    .default(2000)
    .describe('Rollback-journal mode: how many milliseconds writers may have to wait for the backup.'),
  busyTimeoutMs: z
    .number()
    .int()
    .positive()
    .default(5000)
    .describe('How many milliseconds to wait for a lock another program holds.'),
  spoolDirectory: z
    .string()
    .startsWith('/')
    .optional()
    .describe(
      'A directory of this machine with room for a copy of the database: in rollback-journal mode, with copyFirst, and on another host unless python3 is there and the database is in WAL mode. Default: the directory for temporary files.',
    ),
  hold: z
    .enum(['auto', 'python3', 'sqlite3', 'none'])
    .default('auto')
    .describe(
      'On another host: the program there that holds the read lock while the database is copied, or none, which copies without a lock and proves afterwards that nothing came in between. auto: the first of python3 and sqlite3 that is found, else none. On this machine Holdfast holds the lock itself.',
    ),
  attempts: z
    .number()
    .int()
    .positive()
    .default(5)
    .describe('On another host: how often a copy is tried that cannot be proven because the database was written to.'),
});

export type Settings = z.infer<typeof settings>;
