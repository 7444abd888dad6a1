/** What a container has to work with. */
import { hasCode } from '../../base/errors.ts';
import type { Container } from './container.ts';
import { runInContainer } from './run.ts';

/** Everything this folder may use and that is not in every image. */
const wanted = ['nc', 'socat', 'python3', 'perl', 'bash'];
/** GNU's `touch` takes fractions of a second, busybox's does not. */
const script = `for t; do command -v "$t" >/dev/null 2>&1 && printf '%s\\n' "$t"; done
touch -c -h -d @0.5 /holdfast-no-such-file 2>/dev/null && echo fractions
exit 0`;

/** The programs found, `fractions` among them where times can be set exactly; `undefined` without a shell. */
export async function probeTools(
  parts: Omit<Container, 'hasShell' | 'tools'>,
): Promise<ReadonlySet<string> | undefined> {
  const container = { ...parts, hasShell: true, tools: new Set<string>() };
  try {
    const program = await runInContainer(container, { argv: ['sh', '-c', script, 'sh', ...wanted] });
    await program.endInput();
    const chunks: Uint8Array[] = [];
    for await (const chunk of program.stdout) chunks.push(chunk);
    return new Set(Buffer.concat(chunks).toString('utf8').split('\n').filter(Boolean));
  } catch (error) {
    if (hasCode(error, 'host.command-missing')) return undefined;
    throw error;
  }
}
