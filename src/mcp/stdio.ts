/** One session over stdin and stdout, for a client that starts this program. Nothing else may be printed on stdout. */
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { Confirmations } from './confirmations.ts';
import { LocalRuns } from './local-runs.ts';
import type { McpUses } from './parts.ts';
import { createMcpServer } from './server.ts';

export { proxyStdio } from './proxy.ts';

/** Until the client goes or the signal is aborted; what was begun is ended first. */
export async function serveStdio(uses: McpUses & { readonly isServed: boolean }): Promise<void> {
  const { clock, principal, signal } = uses;
  const localRuns = uses.isServed ? undefined : new LocalRuns(clock);
  const server = createMcpServer({
    principal,
    confirmations: new Confirmations(clock),
    ...(localRuns ? { localRuns } : {}),
    uses: (request) => ({ ...uses, signal: AbortSignal.any([signal, request]) }),
  });
  const closed = new Promise<void>((resolve) => {
    server.server.onclose = resolve;
    process.stdin.once('end', resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await server.connect(new StdioServerTransport());
  await closed;
  await server.close();
  await localRuns?.settled();
}
