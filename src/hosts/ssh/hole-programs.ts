/**
 * What tells where a sparse file has holes, in Python and in Perl: a line with the file's size and mtime in seconds, then one
 * with start and end of each hole. Arguments: the path, and the least length of a hole.
 */

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
