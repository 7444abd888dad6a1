/** Where a sparse file has holes, told by Python or Perl at the far end: no other program every system has can. */
import type { FarShell } from './far-shell.ts';

/** A stretch without data. */
export interface Hole {
  readonly start: number;
  readonly end: number;
}

const python = `
import os, sys
f = os.open(sys.argv[1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
least = int(sys.argv[2])
s = os.fstat(f)
print(s.st_size, int(s.st_mtime // 1))
at = 0
while s.st_blocks * 512 < s.st_size and at < s.st_size:
    start = os.lseek(f, at, os.SEEK_HOLE)
    if start >= s.st_size: break
    try: at = os.lseek(f, start, os.SEEK_DATA)
    except OSError: at = s.st_size
    if at - start >= least: print(start, at)
`;

/** Whence 3 and 4 are Linux's SEEK_DATA and SEEK_HOLE; positions are text, for they may be beyond 32 bits. */
const perl = `
exit 1 if $^O ne "linux";
sysopen(my $f, $ARGV[0], 0) or exit 1;
my $least = $ARGV[1];
my ($size, $mtime, $blocks) = (stat $f)[7, 9, 12];
print "$size $mtime\\n";
my $at = 0;
while ($blocks * 512 < $size && $at < $size) {
  my $start = sysseek($f, $at, 4);
  exit 1 if !defined $start;
  $start += 0;
  last if $start >= $size;
  my $data = sysseek($f, $start, 3);
  $at = defined $data ? $data + 0 : $size;
  print "$start $at\\n" if $at - $start >= $least;
}
`;

export const holePrograms: readonly string[] = [python, perl];

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
