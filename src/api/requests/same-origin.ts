/**
 * A browser sends cookies along with requests that another site's page makes. What changes something with a cookie has to
 * come from our own pages: `Sec-Fetch-Site` says so, `Origin` in browsers that do not send that.
 */
import { HoldfastError } from '../../base/errors.ts';
import type { RequestFacts } from '../parts.ts';

export function requireSameOrigin(request: Request, { origin }: RequestFacts): void {
  const site = request.headers.get('sec-fetch-site');
  const from = request.headers.get('origin');
  const isOwn = site === null ? from !== null && sameOrigin(from, origin) : site === 'same-origin';
  if (isOwn) return;
  throw new HoldfastError({
    code: 'auth.forbidden',
    message: 'the request does not come from a page of this server',
    remedy: `Use the pages at ${origin}, or a token: Authorization: Bearer …; behind a proxy, set server: url.`,
  });
}

function sameOrigin(given: string, own: string): boolean {
  try {
    return new URL(given).origin === own;
  } catch {
    return false;
  }
}
