/** How a client program finds the server and signs in: all of it in its environment, none of it in its arguments. */
import type { Host } from '../../hosts/host.ts';
import { openTunnel } from '../../hosts/tunnel.ts';
import { openGuardedPort } from './guarded-port.ts';
import { addressOf, type Place, placeOf, type Source } from './place.ts';

export interface Reach extends AsyncDisposable {
  readonly env: Readonly<Record<string, string>>;
}

/** For programs that write: the same data gives the same bytes on every day of the year. */
export const sameEveryDay = { PGTZ: 'UTC' } as const;

/** For a program on `at`. A server on another machine is reached through the source's host. */
export async function reachServer(source: Source, at: Host): Promise<Reach> {
  const place = placeOf(source.settings);
  const env = await fixedEnvironment(source, place);
  const isNear = at === source.host || (at.kind === 'local' && source.host.kind === 'local');
  if (isNear)
    return {
      env: { ...env, PGHOST: place.socketDirectory ?? place.host, ...tlsEnvironment(source) },
      async [Symbol.asyncDispose]() {},
    };
  const { mode } = source.settings.tls;
  if (place.socketDirectory === undefined && mode !== 'disable' && mode !== 'prefer')
    return await throughPort(source, place, env);
  const tunnel = await openTunnel(source.host, addressOf(place), {
    socketName: `.s.PGSQL.${place.port}`,
    signal: source.signal,
  });
  return { env: { ...env, PGHOST: tunnel.directory }, [Symbol.asyncDispose]: () => tunnel[Symbol.asyncDispose]() };
}

/** libpq encrypts nothing that goes over a Unix socket: with TLS it gets a port of the loopback interface, for this user only. */
async function throughPort(source: Source, place: Place, env: Readonly<Record<string, string>>): Promise<Reach> {
  const port = await openGuardedPort(source.host, addressOf(place), source.signal);
  const where = { PGHOST: place.host, PGHOSTADDR: '127.0.0.1', PGPORT: String(port.port) };
  return {
    env: { ...env, ...where, ...tlsEnvironment(source) },
    [Symbol.asyncDispose]: () => port[Symbol.asyncDispose](),
  };
}

async function fixedEnvironment(source: Source, place: Place): Promise<Record<string, string>> {
  const { password } = source.settings;
  return {
    PGPORT: String(place.port),
    PGUSER: place.user,
    ...(password && { PGPASSWORD: (await source.secret(password, `the source ${source.name}`)).reveal() }),
    // Nothing of the user's own client configuration may come in between.
    PGPASSFILE: '/dev/null/none',
    PGSERVICEFILE: '/dev/null/none',
    PGGSSENCMODE: 'disable',
    PGCONNECT_TIMEOUT: '30',
    LC_ALL: 'C',
  };
}

function tlsEnvironment({ settings: { tls } }: Source): Record<string, string> {
  return {
    PGSSLMODE: tls.mode,
    ...(tls.ca !== undefined && { PGSSLROOTCERT: tls.ca }),
    ...(tls.certificate !== undefined && { PGSSLCERT: tls.certificate }),
    ...(tls.key !== undefined && { PGSSLKEY: tls.key }),
  };
}
