/** What a container has to work with. */
import { hasCode, systemCode } from '../../base/errors.ts';
import type { Container } from './container.ts';
import { runInContainer } from './run.ts';

/** Everything this folder may use and that is not in every image. */
const wanted = ['nc', 'socat', 'python3', 'perl', 'bash'];
/** GNU's `touch` takes fractions of a second, and OpenBSD's `nc` a Unix socket; busybox's do not. */
const script = `for t; do command -v "$t" >/dev/null 2>&1 && printf '%s\\n' "$t"; done
case $(nc -h </dev/null 2>&1) in *-U*) echo nc -U;; esac
touch -c -h -d @0.5 /holdfast-no-such-file 2>/dev/null && echo fractions
exit 0`;

/** The programs found, `nc -U` and `fractions` (times can be set exactly) among them where that is so; `undefined` without a shell. */
export async function probeTools(
  parts: Omit<Container, 'hasShell' | 'tools'>,
): Promise<ReadonlySet<string> | undefined> {
  const container = { ...parts, hasShell: true, tools: new Set<string>() };
  try {
    // It only looks: where the engine drops the connection it may be asked once more.
    return await look(container).catch((error: unknown) => {
      if (!isCut(error)) throw error;
      return look(container);
    });
  } catch (error) {
    if (hasCode(error, 'host.command-missing')) return undefined;
    throw error;
  }
}

async function look(container: Container): Promise<ReadonlySet<string>> {
  const program = await runInContainer(container, { argv: ['sh', '-c', script, 'sh', ...wanted] });
  await program.endInput();
  const chunks: Uint8Array[] = [];
  for await (const chunk of program.stdout) chunks.push(chunk);
  return new Set(Buffer.concat(chunks).toString('utf8').split('\n').filter(Boolean));
}

function isCut(error: unknown): boolean {
  return error instanceof Error && ['EPIPE', 'ECONNRESET'].includes(systemCode(error.cause) ?? '');
}
