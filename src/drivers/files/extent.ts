/** Where what a source protects is seen. */
import { compilePatterns } from '../../base/patterns.ts';
import type { Extent } from '../driver.ts';
import { type FilesSettings, normalPaths } from './settings.ts';

/** Marker files (`excludeIfPresent`, `excludeCaches`) and mounts are not heeded: they are known only when the files are read. */
export async function extent(settings: FilesSettings): Promise<Extent> {
  const excluded = compilePatterns(settings.exclude);
  return { paths: normalPaths(settings), leavesOut: (path) => excluded.matches(path, false) };
}
