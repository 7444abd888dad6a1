/** Where a sparse file has holes, told by Python or Perl at the far end: no other program every system has can. */
import type { FarShell } from './far-shell.ts';

/** A stretch without data. */
export interface Hole {
  readonly start: number;
  readonly end: number;
}

/** What the path holds, with the file's size and mtime in seconds: by these a caller knows it is the file that it has open. */
export interface HoleMap {
  readonly size: number;
  readonly mtime: number;
  /** In order. */
  readonly holes: readonly Hole[];
}

/** Holes of at least `least` bytes; `undefined` where they cannot be told, for reading them as zeros is right too. */
export async function holesOf(shell: FarShell, path: string, least: number): Promise<HoleMap | undefined> {
  const { status, output } = await shell.call(['holes', path, String(least)]);
  return status === 0 ? parseHoles(output.toString('latin1')) : undefined;
}

/** A line with size and mtime, then a line for each hole. */
export function parseHoles(text: string): HoleMap | undefined {
  const lines = text.trimEnd().split('\n');
  if (!lines.every((line) => /^\d+ -?\d+$/.test(line))) return undefined;
  const [[size, mtime], ...holes] = lines.map((line) => line.split(' ').map(Number));
  return { size, mtime, holes: holes.map(([start, end]) => ({ start, end })) };
}
