/**
 * Ends a program with everything it started. sshd kills nothing when a session is closed, so a second program has to: it
 * ends every process of the first one's session or below it, also what left that session, as long as its parent lives.
 */

const graceTenths = 20;

/** For /bin/sh, with the program's process id and its time of birth, if that is known, as arguments. SIGTERM, and SIGKILL once it ended, at the latest after two seconds. */
export const killScript = `
root=$1
born=$2
started() {
  { IFS= read -r line < "/proc/$root/stat"; } 2>/dev/null || return 1
  set -- \${line##*)}
  shift 19
  echo "$1"
}
# another program has that id by now: nothing of the session is left then, for its id would not have been given away
if [ -n "$born" ]; then now=$(started) && [ "$now" != "$born" ] && exit 0; fi
# lines «pid ppid session»
processes() {
  if [ -r /proc/self/stat ]; then
    for at in /proc/[0-9]*; do
      { IFS= read -r line < "$at/stat"; } 2>/dev/null || continue
      # the name in parentheses may hold anything; state, parent, group and session follow the last one
      set -- \${line##*) }
      echo "\${at#/proc/} $2 $4"
    done
  else
    ps -A -o pid= -o ppid= -o pgid=
  fi
}
family() {
  all=$(processes)
  found=" $root "
  more=1
  while [ "$more" = 1 ]; do
    more=0
    while read -r pid ppid session; do
      case $found in *" $pid "*) continue ;; esac
      [ "$session" = "$root" ] || case $found in *" $ppid "*) : ;; *) continue ;; esac
      found="$found$pid "
      more=1
    done <<END
$all
END
  done
  echo "$found"
}
told=$(family)
for pid in $told; do kill -TERM "$pid" 2>/dev/null; done
left=${graceTenths}
while [ "$left" -gt 0 ] && kill -0 "$root" 2>/dev/null; do
  sleep 0.1 2>/dev/null || { sleep 1; left=$((left - 9)); }
  left=$((left - 1))
done
for pid in $told $(family); do kill -KILL "$pid" 2>/dev/null; done
:
`;
