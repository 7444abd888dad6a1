/** Settings of a `files` source. */
import { posix } from 'node:path';
import { z } from 'zod';
import { compilePatterns } from '../../base/patterns.ts';

const path = z.string().refine((text) => text.startsWith('/') && !text.includes('\0'), 'must be an absolute path');

const patterns = z.array(z.string()).superRefine((texts, context) => {
  try {
    compilePatterns(texts);
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : 'malformed' });
  }
});

const tagName = z
  .string()
  .regex(/^[^/:\0][^/\0]*$/, 'must be a file name, or a file name, a colon and what it starts with');

export const filesSettings = z
  .strictObject({
    paths: z
      .array(path)
      .min(1)
      .describe('Absolute paths of the directories and files to back up. A symbolic link is stored as a link.'),
    exclude: patterns
      .default([])
      .describe(
        'What to leave out: patterns with *, ?, [a-z], ** (any directories), a leading / for the root of the file system, a trailing / for directories only, a leading ! to take back. The paths themselves are never left out.',
      ),
    excludeIfPresent: z
      .array(tagName)
      .default([])
      .describe(
        'Leave out the content of every directory that holds a file of this name, such as ".nobackup". "name:text" asks that the file starts with the text.',
      ),
    excludeCaches: z
      .boolean()
      .default(false)
      .describe('Leave out the content of cache directories: those marked by a valid CACHEDIR.TAG.'),
    oneFileSystem: z
      .boolean()
      .default(false)
      .describe(
        'Do not enter other file systems mounted below the paths; their mount points are kept as empty directories.',
      ),
    allowMissing: z
      .boolean()
      .default(false)
      .describe('Back up the paths that exist when some are missing. If all are missing, it is an error anyway.'),
    accessTimes: z
      .boolean()
      .default(false)
      .describe('Store the times of last access. They change with every reading, and so does every snapshot.'),
  })
  .describe('Directories and files of a machine.');

export type FilesSettings = z.output<typeof filesSettings>;

/** The paths as they are stored: normalised, each once. */
export function normalPaths(settings: FilesSettings): string[] {
  return [...new Set(settings.paths.map((text) => posix.normalize(text).replace(/(?<=.)\/$/, '')))];
}
