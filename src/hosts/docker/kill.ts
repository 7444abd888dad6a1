/** Ending a program in a container: the API has no such call, so a second exec does it from inside. */
import type Docker from 'dockerode';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import type { Container } from './container.ts';
import { ExecOutput } from './exec-output.ts';
import { isSeenHere } from './inside-path.ts';

/**
 * `sh -c script sh ID`: SIGTERM for what ID (a shell that only waits) started, SIGKILL when that ended or after two seconds.
 * Reached is what descends from ID or belongs to its session, as found in /proc; proc_pid_stat(5): state, parent, group and
 * session follow the last parenthesis. Fails if something is left that runs.
 */
const killScript = `root=$1
collect() {
  before=
  while [ "$found" != "$before" ]; do
    before=$found
    for stat in /proc/[0-9]*/stat; do
      { read -r line <"$stat"; } 2>/dev/null || continue
      id=\${line%% *}
      case $found in *" $id "*) continue ;; esac
      set -- \${line##*) }
      case $found in *" $2 "*) found="$found$id " ;; *) [ "$4" = "$root" ] && found="$found$id " ;; esac
    done
  done
}
alive() {
  for id in $found; do
    [ "$id" = "$1" ] && continue
    { read -r line <"/proc/$id/stat"; } 2>/dev/null || continue
    set -- "$1" \${line##*) }
    case $2 in Z|X) ;; *) return 0 ;; esac
  done
  return 1
}
found=" $root "
collect
for id in $found; do [ "$id" = "$root" ] || kill -TERM "$id" 2>/dev/null; done
turn=0
while alive "$root" && [ $turn -lt 20 ]; do sleep 0.1 2>/dev/null || { sleep 1; turn=$((turn + 9)); }; turn=$((turn + 1)); done
collect
for id in $found; do kill -KILL "$id" 2>/dev/null; done
turn=0
while alive '' && [ $turn -lt 20 ]; do sleep 0.05 2>/dev/null || sleep 1; turn=$((turn + 1)); done
alive '' && exit 1
exit 0`;

/**
 * Kills a program and all it started, first as root, then as the user it runs as (root without CAP_KILL may not).
 * `host.command-failed` if that cannot be done: the message says how to find what still runs.
 */
export async function killInside(container: Container, exec: Docker.Exec, processId: string): Promise<void> {
  if (processId === '') {
    if (await killFromHere(container, exec)) return;
    throw await notKilled(container, exec, 'the image has no shell');
  }
  const reasons: string[] = [];
  for (const user of ['0', container.user]) {
    try {
      const status = await killAs(container, user, processId);
      if (status === 0) return;
      reasons.push(`status ${status}`);
    } catch (error) {
      reasons.push(messageOf(error));
    }
  }
  const { Running } = await exec.inspect().catch(() => ({ Running: true }));
  if (Running) throw await notKilled(container, exec, reasons.join('; '));
}

/** For images without a shell: as root on the engine's machine the program is a process like any other. Its children are not looked for. */
async function killFromHere(container: Container, exec: Docker.Exec): Promise<boolean> {
  const { Running, Pid } = await exec.inspect();
  if (!Running) return true;
  if (!isSeenHere(container, Pid)) return false;
  process.kill(Pid, 'SIGKILL');
  return true;
}

async function killAs(container: Container, user: string | undefined, processId: string): Promise<number | null> {
  const exec = await container.docker.exec({
    Cmd: ['sh', '-c', killScript, 'sh', processId],
    ...(user === undefined ? {} : { User: user }),
    AttachStdout: true,
    AttachStderr: true,
  });
  const output = new ExecOutput(await exec.start({ hijack: true, stdin: true }), undefined, container.clock);
  output.discard();
  await output.ended;
  for (let waitMs = 5; ; waitMs *= 2) {
    const { Running, ExitCode } = await exec.inspect();
    if (!Running || waitMs > 1000) return ExitCode;
    await container.clock.sleep(waitMs);
  }
}

async function notKilled(container: Container, exec: Docker.Exec, reason: string): Promise<HoldfastError> {
  const { Pid, ProcessConfig } = await exec.inspect().catch(() => ({ Pid: 0, ProcessConfig: undefined }));
  return new HoldfastError({
    code: 'host.command-failed',
    message: `the program ${ProcessConfig?.entrypoint ?? ''} in the container ${container.name} could not be stopped (${reason}) and may still run`,
    remedy: Pid ? `Kill process ${Pid} on the machine of the container engine.` : 'Restart the container.',
  });
}
