/** `/mcp`: what an assistant may ask and do here, under the role of the token it brings. */

import { problemResponse, RequestError } from '../api/answers/problem.ts';
import type { App } from '../api/app.ts';
import type { ApiSettings } from '../api/parts.ts';
import { forwardedAsSet } from '../api/requests/proxies.ts';
import { authenticate, recordAudit } from '../auth/index.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { Secret } from '../base/secrets.ts';
import type { Catalogue } from '../catalogue/open.ts';
import { Confirmations } from '../mcp/confirmations.ts';
import type { McpParts } from '../mcp/parts.ts';
import { silent } from '../model/run.ts';
import type { SourceAccess } from '../operations/operation.ts';

export interface McpEndpoint {
  readonly clock: Clock;
  readonly log: Log;
  readonly catalogue: Catalogue;
  readonly access: () => SourceAccess;
  readonly stopping: AbortSignal;
  readonly settings: Pick<ApiSettings, 'trustedProxies'>;
}

/** The app, with this path before it. Cookies do not count here: a page in a browser cannot ask in somebody's name. */
export function withMcp(app: App, endpoint: McpEndpoint): App {
  const confirmations = new Confirmations(endpoint.clock);
  const forwarded = forwardedAsSet(endpoint.settings);
  return {
    fetch: async (request, connection) => {
      const { pathname, origin } = new URL(request.url);
      if (pathname !== '/mcp') return await app.fetch(request, connection);
      try {
        const { address } = forwarded({ ...connection, headers: request.headers });
        return await answer(request, address, { endpoint, confirmations });
      } catch (error) {
        const { log, clock } = endpoint;
        return problemResponse(error, { path: pathname, origin, log, clock });
      }
    },
  };
}

async function answer(
  request: Request,
  address: string,
  { endpoint, confirmations }: { readonly endpoint: McpEndpoint; readonly confirmations: Confirmations },
): Promise<Response> {
  const { clock, catalogue, access, stopping } = endpoint;
  const { principal } = await authenticate(bearerOf(request), { catalogue, clock });
  if (request.method !== 'POST') {
    throw new RequestError(
      405,
      `${request.method} is not for /mcp`,
      'Sessions are not kept: send each message by POST.',
      { allow: 'POST' },
    );
  }
  const parts: McpParts = {
    principal,
    confirmations,
    uses: (signal) => ({
      ...access(),
      ...{ clock, catalogue, principal, report: silent },
      signal: AbortSignal.any([signal, stopping, request.signal]),
    }),
    record: async (entry) => await recordAudit({ ...entry, actor: principal.name, address }, { catalogue, clock }),
  };
  const { answerMcp } = await import('../mcp/http.ts');
  return await answerMcp(request, parts);
}

function bearerOf(request: Request): { bearer?: Secret } {
  const bearer = /^Bearer +(\S{1,500})$/i.exec(request.headers.get('authorization') ?? '')?.[1];
  return bearer === undefined ? {} : { bearer: new Secret(bearer) };
}
