/** The status of a server with all its sources: page after page. */
import type { StatusOutput } from '../../operations/status/status.ts';
import { type RemoteRoute, requestFor } from './routes.ts';
import type { RemoteServer } from './server.ts';

/** As many as a server gives at once. */
const pageSize = 1000;

/** What changes meanwhile never makes it better than one of its pages was: it is `ok` only if every page said so. */
export async function wholeStatus(
  input: Readonly<Record<string, unknown>>,
  { route, server }: { readonly route: RemoteRoute; readonly server: Pick<RemoteServer, 'json'> },
): Promise<StatusOutput> {
  const askFor = async (cursor?: string): Promise<StatusOutput> =>
    await server.json<StatusOutput>(requestFor(route, input, { limit: pageSize, cursor }).path);
  let { next, ...whole } = await askFor();
  while (next !== undefined) {
    const { next: after, ...page } = await askFor(next);
    whole = { ...page, ok: whole.ok && page.ok, sources: [...whole.sources, ...page.sources] };
    next = after;
  }
  return whole;
}
