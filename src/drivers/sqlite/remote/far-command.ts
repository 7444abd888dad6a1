/** Short questions to programs of the host. */
import { HoldfastError, hasCode } from '../../../base/errors.ts';
import type { Host } from '../../../hosts/host.ts';

const mostBytes = 1 << 20;

/** What a program prints, up to 1 MiB; `undefined` if it is not installed, cannot be started, or ends with an error. */
export async function printed(host: Host, argv: readonly string[], signal?: AbortSignal): Promise<string | undefined> {
  try {
    const { status, output } = await runToEnd(host, argv, signal);
    return status === 0 ? output : undefined;
  } catch (error) {
    if (hasCode(error, 'host.command-missing', 'host.command-failed')) return undefined;
    throw error;
  }
}

/** Runs a program that has to succeed. `host.command-failed` with what it said. */
export async function mustRun(host: Host, argv: readonly string[], signal?: AbortSignal): Promise<void> {
  const { status, stderr } = await runToEnd(host, argv, signal);
  if (status === 0) return;
  throw new HoldfastError({
    code: 'host.command-failed',
    message: `${argv[0]} on ${host.name} ended with ${status === null ? 'a signal' : `status ${status}`}: ${stderr.trim().slice(-300)}`,
    remedy: 'Check the rights of the account on the host.',
  });
}

async function runToEnd(host: Host, argv: readonly string[], signal?: AbortSignal) {
  const process = await host.run({ argv, signal });
  await process.endInput().catch(() => {}); // it may have ended already
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of process.stdout) {
    bytes += chunk.byteLength;
    if (bytes <= mostBytes) chunks.push(chunk);
  }
  const { status, stderr } = await process.exit;
  return { status, stderr, output: Buffer.concat(chunks).toString('utf8') };
}
