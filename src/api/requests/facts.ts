/** What is known of a request before anybody is recognised. */
import type { Credentials } from '../../auth/index.ts';
import { cookieValue, sessionCookieName } from '../../auth/index.ts';
import { Secret } from '../../base/secrets.ts';
import type { RequestFacts } from '../parts.ts';
import type { Forwarded } from './proxies.ts';

/** `url`: as people reach the server, if that is set. */
export function factsOf(request: Request, path: string, forwarded: Forwarded, url: string | undefined): RequestFacts {
  const host = /^[\w.:[\]-]{1,255}$/.test(forwarded.host) ? forwarded.host : 'localhost';
  const origin = url === undefined ? originOf(`${forwarded.secure ? 'https' : 'http'}://${host}`) : originOf(url);
  const secure = origin.startsWith('https:');
  const cookie = request.headers.get('cookie') ?? undefined;
  return {
    method: request.method,
    path,
    address: forwarded.address,
    userAgent: (request.headers.get('user-agent') ?? '').slice(0, 300),
    secure,
    origin,
    credentials: credentialsOf(request.headers.get('authorization'), cookie, secure),
    ...(cookie === undefined ? {} : { cookie }),
  };
}

function originOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : 'http://localhost';
}

/** Another scheme than Bearer is nobody, also beside a cookie: whoever sends it means somebody else. */
function credentialsOf(authorization: string | null, cookie: string | undefined, secure: boolean): Credentials {
  if (authorization !== null) {
    const bearer = /^Bearer +(\S{1,500})$/i.exec(authorization)?.[1];
    return bearer === undefined ? {} : { bearer: new Secret(bearer) };
  }
  const session = cookieValue(cookie, sessionCookieName({ secure }));
  return session === undefined ? {} : { session };
}
