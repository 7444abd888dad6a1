/**
 * Cookies of sessions, and why no other site can use them.
 *
 * What the API has to do:
 * 1. It sets the session cookie by `sessionCookie` only (HttpOnly, SameSite=Strict, Path=/, over TLS Secure and `__Host-`).
 * 2. Before anything but GET and HEAD is done for a request whose cookie counts (no bearer token), and before every sign-in,
 *    it calls `refuseCrossSite`: what a browser says of where a request comes from cannot be set by a page.
 * 3. GET changes nothing; there are no CORS headers; answers with `Cache-Control: no-store`.
 * 4. The cookie of a sign-in through a provider (`flowCookie`) is SameSite=Lax, because the provider's answer is a navigation
 *    from another site. It carries no rights: it only proves that the browser which began is the one that ends.
 */
import { formatHttpDate } from '../../base/clock.ts';
import { HoldfastError } from '../../base/errors.ts';
import { Secret } from '../../base/secrets.ts';

export interface CookiePlace {
  /** Whether people reach the server by https (`server.url`); on plain http a browser refuses `Secure`. */
  readonly secure: boolean;
}

export function sessionCookieName({ secure }: CookiePlace): string {
  return secure ? '__Host-holdfast' : 'holdfast-session';
}

/** The value of `Set-Cookie` for a session. */
export function sessionCookie(session: Secret, expiresAtMs: number, place: CookiePlace): string {
  return cookie(sessionCookieName(place), session.reveal(), expiresAtMs, 'Strict', place);
}

/** The value of `Set-Cookie` that makes the browser forget it. */
export function clearedSessionCookie(place: CookiePlace): string {
  return cookie(sessionCookieName(place), '', 0, 'Strict', place);
}

export function flowCookieName({ secure }: CookiePlace): string {
  return secure ? '__Host-holdfast-flow' : 'holdfast-flow';
}

export function flowCookie(flow: Secret, expiresAtMs: number, place: CookiePlace): string {
  return cookie(flowCookieName(place), flow.reveal(), expiresAtMs, 'Lax', place);
}

export function clearedFlowCookie(place: CookiePlace): string {
  return cookie(flowCookieName(place), '', 0, 'Lax', place);
}

/** The value of a cookie in the header `Cookie`; `undefined` if it is missing, empty, or there twice. */
export function cookieValue(header: string | undefined, name: string): Secret | undefined {
  const found = (header ?? '')
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part.startsWith(`${name}=`))
    .map((part) => part.slice(name.length + 1));
  return found.length === 1 && found[0] !== '' ? new Secret(found[0]) : undefined;
}

function cookie(
  name: string,
  value: string,
  expiresAtMs: number,
  sameSite: 'Strict' | 'Lax',
  { secure }: CookiePlace,
): string {
  const parts = [`${name}=${value}`, 'Path=/', `Expires=${formatHttpDate(expiresAtMs)}`, 'HttpOnly'];
  return [...parts, `SameSite=${sameSite}`, ...(secure ? ['Secure'] : [])].join('; ');
}

export interface RequestOrigin {
  readonly method: string;
  /** The header `Origin`. */
  readonly origin?: string;
  /** The header `Sec-Fetch-Site`. */
  readonly fetchSite?: string;
  /** It brings cookies along, whichever. */
  readonly cookies: boolean;
}

/**
 * Refuses what a page of another site, or of another port or sub-domain of this one, made a browser send. Browsers say so in
 * `Sec-Fetch-Site`; older ones, and those on plain http, in `Origin`, which has to be one of `ownOrigins`. A request with
 * neither comes from no browser: without cookies, as when `curl` brings the set-up code, it goes in nobody's name and is let
 * through; with them it has to use a token. `auth.forbidden`.
 */
export function refuseCrossSite(request: RequestOrigin, ownOrigins: readonly string[]): void {
  if (request.method === 'GET' || request.method === 'HEAD') return;
  if (request.fetchSite === 'same-origin') return;
  if (request.fetchSite === undefined && request.origin !== undefined && ownOrigins.includes(request.origin)) return;
  if (request.fetchSite === undefined && request.origin === undefined && !request.cookies) return;
  throw new HoldfastError({
    code: 'auth.forbidden',
    message: 'the request does not come from a page of this server',
    remedy:
      'Open the server by the address in server.url; programs send a token (Authorization: Bearer) instead of a cookie.',
  });
}
