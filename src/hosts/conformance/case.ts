/** What a conformance case of a host is. */
import { type ErrorCode, HoldfastError, hasCode, messageOf } from '../../base/errors.ts';
import type { NodeAttributes } from '../../model/node.ts';
import type { Host, HostCommand } from '../host.ts';

export interface HostCaseContext {
  readonly host: Host;
  /** An empty directory on the host, of this case alone; the runner removes it. */
  readonly directory: string;
}

export interface HostCase {
  readonly id: string;
  /** The promise, as a sentence. */
  readonly why: string;
  /** Throws if the host does not keep it. */
  run(ctx: HostCaseContext): Promise<void>;
}

export function expect(kept: boolean, message: string): void {
  if (kept) return;
  throw new HoldfastError({
    code: 'internal',
    message: `the host breaks a promise: ${message}`,
    remedy: 'Report it with the versions of both machines.',
  });
}

export function expectEqual(found: unknown, wanted: unknown, what: string): void {
  expect(found === wanted, `${what} is ${String(found)}, not ${String(wanted)}`);
}

export async function expectError(call: () => Promise<unknown>, code: ErrorCode, what: string): Promise<void> {
  try {
    await call();
  } catch (error) {
    expect(hasCode(error, code), `${what} fails with «${messageOf(error)}», not with ${code}`);
    return;
  }
  expect(false, `${what} succeeds, where it must fail with ${code}`);
}

/** Runs a program without input to its end. */
export async function output(
  host: Host,
  command: HostCommand,
): Promise<{ stdout: string; stderr: string; status: number | null }> {
  const program = await host.run(command);
  await program.endInput();
  const chunks: Uint8Array[] = [];
  for await (const chunk of program.stdout) chunks.push(chunk);
  const { status, stderr } = await program.exit;
  return { stdout: Buffer.concat(chunks).toString('utf8'), stderr, status };
}

/** Attributes of a plain file as a restore wants them. */
export function fileNode(name: string, size: number): NodeAttributes {
  const timeNs = 1_600_000_000_123_456_000n;
  return {
    ...{ name, type: 'file', mode: 0o640, size, links: 1, uid: 0, gid: 0, inode: 0n, deviceId: 0n },
    ...{ mtimeNs: timeNs, atimeNs: timeNs, ctimeNs: timeNs },
  } as const;
}
