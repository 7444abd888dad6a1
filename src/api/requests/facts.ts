/** What is known of a request before anybody is recognised. */
import type { RequestFacts } from '../parts.ts';
import type { Forwarded } from './proxies.ts';

/** `url`: as people reach the server, if that is set. */
export function factsOf(request: Request, path: string, forwarded: Forwarded, url: string | undefined): RequestFacts {
  const authorization = request.headers.get('authorization');
  const said = `${forwarded.secure ? 'https' : 'http'}://${/^[\w.:[\]-]{1,255}$/.test(forwarded.host) ? forwarded.host : 'localhost'}`;
  return {
    method: request.method,
    path,
    address: forwarded.address,
    userAgent: (request.headers.get('user-agent') ?? '').slice(0, 300),
    secure: forwarded.secure,
    origin: url === undefined ? said : new URL(url).origin,
    ...(authorization === null ? {} : { authorization }),
    cookies: cookiesOf(request.headers.get('cookie')),
  };
}

function cookiesOf(header: string | null): ReadonlyMap<string, string> {
  const pairs = (header ?? '').split(';').map((pair) => {
    const at = pair.indexOf('=');
    return at < 0 ? undefined : ([pair.slice(0, at).trim(), pair.slice(at + 1).trim()] as const);
  });
  return new Map(pairs.filter((pair) => pair !== undefined));
}
