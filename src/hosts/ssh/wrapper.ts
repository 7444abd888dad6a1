/**
 * How a program is started at the far end. The command line that the server sees (and logs, and shows in /proc) is a
 * constant: a POSIX shell that reads what to run from its stdin, line by line, and then becomes that program, which gets
 * the rest of stdin unchanged. Arguments thus pass no shell's quoting, whatever the user's login shell is, and neither
 * they nor the variables (which may be secrets) stand in the shell's arguments.
 *
 * Lines: a token; the directory; the count of variables, and name and value of each; the count of arguments, and each.
 * POSIX has `read` take no byte beyond the line's end where it cannot seek, so nothing of the program's input is lost.
 */
import { HoldfastError } from '../../base/errors.ts';
import { encodeName } from '../../base/names.ts';
import type { HostCommand } from '../host.ts';

/**
 * Neither quotes nor backslashes nor line ends: the same to every login shell within single quotes. A value that was
 * encoded ends with «/», for $( ) cuts line ends off, and no encoding of text has that byte within a longer character.
 * Both streams say where the program's own output begins: what a login shell's start files print comes before. With its
 * process id goes the time it was born (field 22 of proc_pid_stat(5)), for an id may be another program's later.
 */
const script = `
hf_end() { echo "$hf_token $1" >&2; exit 127; }
hf_value() { hf_v=$(printf %b/ "\${hf_l#%}"); hf_v=\${hf_v%/}; }
hf_line() { IFS= read -r hf_l || exit 126; case $hf_l in =*) hf_v=\${hf_l#=} ;; *) hf_value ;; esac; }
IFS= read -r hf_token || exit 126
hf_line
hf_dir=$hf_v
hf_line
hf_n=$hf_v
while [ "$hf_n" -gt 0 ]; do hf_line; hf_name=$hf_v; hf_line; export "$hf_name=$hf_v"; hf_n=$((hf_n-1)); done
hf_line
hf_n=$hf_v
set --
while [ "$hf_n" -gt 0 ]; do hf_line; set -- "$@" "$hf_v"; hf_n=$((hf_n-1)); done
if [ -n "$hf_dir" ]; then cd -- "$hf_dir" 2>/dev/null || hf_end directory; fi
hf_is() { [ -f "$1" ] && [ -x "$1" ]; }
hf_find() { set -f; IFS=:; for hf_d in $PATH; do hf_is "\${hf_d:-.}/$1" && return; done; return 1; }
case $1 in */*) [ -e "$1" ] || hf_end missing ;; *) hf_find "$1" || hf_end missing ;; esac
unset IFS
set +f
hf_born() { IFS= read -r hf_s < /proc/$$/stat && set -- \${hf_s##*)} && shift 19 && hf_b=$1; }
hf_b=
hf_born 2>/dev/null
echo "$hf_token"
echo "$hf_token $$ $hf_b" >&2
exec "$@"`
  .trim()
  .replaceAll('\n', '; ');

/** The same for every program. */
export const wrapperCommand = `exec /bin/sh -c '${script}'`;

/** What the wrapper reads before it becomes the program. `host.command-failed` for what no program can get. */
export function wrapperInput(token: string, { argv, env = {}, cwd = '' }: HostCommand): string {
  const names = Object.keys(env);
  for (const name of names) {
    // the shell has no other names
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw notPassed(`the variable «${name}»`, argv);
  }
  const values = [
    cwd,
    String(names.length),
    ...names.flatMap((name) => [name, env[name]]),
    String(argv.length),
    ...argv,
  ];
  if (values.some((value) => value.includes('\0'))) throw notPassed('a zero byte', argv);
  return `${token}\n${values.map(encodeValue).join('')}`;
}

/** One line: `=` and the text as it is, or `%` and what printf's %b makes it of. */
export function encodeValue(value: string): string {
  if (/^[\x20-\x7e]*$/.test(value)) return `=${value}\n`;
  let text = '';
  for (const byte of encodeName(value)) {
    const plain = byte >= 0x20 && byte < 0x7f && byte !== 0x5c;
    text += plain ? String.fromCharCode(byte) : `\\0${byte.toString(8).padStart(3, '0')}`;
  }
  return `%${text}\n`;
}

function notPassed(what: string, argv: readonly string[]): HoldfastError {
  return new HoldfastError({
    code: 'host.command-failed',
    message: `${what} cannot be handed to ${argv[0]} on another machine`,
    remedy: 'Use names of letters, digits and «_», and values without zero bytes.',
  });
}
