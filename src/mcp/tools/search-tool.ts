/** Searches snapshots for files. */
import { z } from 'zod';
import { hasCode } from '../../base/errors.ts';
import { type FindOutput, find, type Match } from '../../operations/snapshots/find.ts';
import { requireRepository, requireSource } from '../rights.ts';
import { reading, type Tool, tool } from './tool.ts';

export const searchTool: Tool = tool({
  name: 'search_files',
  title: 'Search files in snapshots',
  description:
    'Finds files of one source in its snapshots by name patterns (*, ?, **): path, size, time, and which snapshots hold each version. For «when was it there last».',
  permission: find.permission,
  input: {
    source: z.string().describe('Name of a declared source.'),
    patterns: z.array(z.string().min(1)).min(1).max(10).describe('Such as "*.ldif" or "/etc/nginx/**".'),
    repository: z.string().optional(),
    ignoreCase: z.boolean().default(false),
    limit: z.number().int().min(1).max(200).default(50),
  },
  annotations: reading,
  run: async ({ source, patterns, repository, ignoreCase, limit }, { uses }) => {
    requireSource(source, find.permission, uses);
    requireRepository(repository, uses);
    const matches: unknown[] = [];
    let failed: FindOutput['failed'] = [];
    const enough = new AbortController();
    const emit = (match: Match): void => {
      if (matches.length < limit) matches.push(shown(match));
      else enough.abort();
    };
    const signal = AbortSignal.any([uses.signal, enough.signal]);
    try {
      ({ failed } = await find.run({ source, patterns, repository, ignoreCase }, { ...uses, signal, emit }));
    } catch (error) {
      if (!enough.signal.aborted || !(hasCode(error, 'cancelled') || error === enough.signal.reason)) throw error;
    }
    return { matches, more: enough.signal.aborted, failed };
  },
});

/** The newest snapshots that hold it are enough to go on with. */
function shown({ snapshots, ...node }: Match): object {
  const newest = snapshots.slice(-5).map(({ id, time }) => ({ id, time }));
  return { ...node, snapshots: newest, ...(snapshots.length > 5 ? { inSnapshots: snapshots.length } : {}) };
}
