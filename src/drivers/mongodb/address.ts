/** Reads connection strings: what they say of the place, never of a password. */
import { resolveSrv, resolveTxt } from 'node:dns/promises';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import type { Address } from '../../hosts/host.ts';
import type { Settings } from './settings.ts';

/** A server, or the members of a replica set that were named. */
export interface Place {
  /** For people and for the snapshot: without user and options. */
  readonly title: string;
  readonly user: string | undefined;
  readonly seeds: readonly Address[];
  readonly replicaSet?: string;
  readonly authSource?: string;
  readonly authMechanism?: string;
  readonly tls: boolean;
}

const defaultPort = 27017;
const known = new Set(['replicaSet', 'authSource', 'authMechanism', 'tls', 'ssl', 'directConnection']);
/** Options that are harmless to ignore: they tune, or say what we settle ourselves. */
const idle =
  /^(?:readPreference|readConcernLevel|w|wtimeoutMS|journal|retryWrites|retryReads|appName|maxPoolSize|minPoolSize|compressors|connectTimeoutMS|socketTimeoutMS|serverSelectionTimeoutMS)$/;

interface Parts {
  readonly isSrv: boolean;
  readonly user: string | undefined;
  readonly hosts: readonly string[];
  readonly database: string;
  readonly options: URLSearchParams;
}

function split(url: string): Parts {
  const [, srv, user, hosts, database = '', query = ''] =
    /^mongodb(\+srv)?:\/\/(?:([^@/]+)@)?([^/?]+)(?:\/([^?]*))?(?:\?(.*))?$/.exec(url) ?? [];
  return {
    isSrv: srv !== undefined,
    user: user === undefined ? undefined : decodeURIComponent(user),
    hosts: (hosts ?? '').split(','),
    database: decodeURIComponent(database),
    options: new URLSearchParams(query),
  };
}

/** What a person recognises; needs no network. */
export function titleOf({ url, socket }: Pick<Settings, 'url' | 'socket'>): string {
  const { isSrv, hosts } = split(url);
  return socket ?? `mongodb${isSrv ? '+srv' : ''}://${hosts.join(',')}`;
}

/** Looks names of `mongodb+srv` up on this machine. `config.invalid`, `host.unreachable`. */
export async function placeOf(settings: Pick<Settings, 'url' | 'socket'>): Promise<Place> {
  const parts = split(settings.url);
  const found = parts.isSrv && settings.socket === undefined ? await lookUp(parts) : undefined;
  const options = new URLSearchParams([...(found?.options ?? []), ...parts.options]);
  refuseUnknown(options);
  const last = (name: string): string | undefined => options.getAll(name).at(-1);
  const tls = last('tls') ?? last('ssl');
  return {
    title: titleOf(settings),
    user: parts.user,
    seeds:
      settings.socket === undefined ? (found?.seeds ?? parts.hosts.map(addressOf)) : [{ socketPath: settings.socket }],
    replicaSet: last('replicaSet'),
    authSource: last('authSource') ?? (parts.database === '' ? undefined : parts.database),
    authMechanism: last('authMechanism'),
    tls: tls === undefined ? parts.isSrv : tls === 'true',
  };
}

/** `host:port`, `[::1]:port`, `host`. */
export function addressOf(text: string): { readonly host: string; readonly port: number } {
  const [, host = text, port] = /^(.*?)(?::(\d+))?$/.exec(text) ?? [];
  return { host: host.replace(/^\[|\]$/g, ''), port: port === undefined ? defaultPort : Number(port) };
}

export function nameOf(address: Address): string {
  if ('socketPath' in address) return address.socketPath;
  const { host, port } = address;
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** An option that is not heeded might be one that protects. */
function refuseUnknown(options: URLSearchParams): void {
  for (const name of options.keys()) {
    if (known.has(name) || idle.test(name)) continue;
    throw new HoldfastError({
      code: 'config.invalid',
      message: `the option «${name}» of a MongoDB URL is not understood`,
      remedy: `Leave it out. These are: ${[...known].join(', ')}. Certificates go under «tls».`,
    });
  }
}

/** DNS seed list: SRV records name the members, a TXT record has options. */
async function lookUp({ hosts }: Parts): Promise<{ seeds: Address[]; options: URLSearchParams }> {
  const [name] = hosts;
  try {
    const records = await resolveSrv(`_mongodb._tcp.${name}`);
    const texts = await resolveTxt(name).catch(() => []);
    const domain = name.split('.').slice(1).join('.');
    const seeds = records.map((record) => ({ host: record.name, port: record.port }));
    const foreign = seeds.find(({ host }) => !host.endsWith(`.${domain}`));
    if (foreign) throw new Error(`it names ${foreign.host}, which is not of ${domain}`);
    return { seeds, options: new URLSearchParams(texts.map((text) => text.join('')).join('&')) };
  } catch (cause) {
    throw new HoldfastError({
      code: 'host.unreachable',
      message: `the members of mongodb+srv://${name} are not known: ${messageOf(cause)}`,
      remedy:
        'Check the name and the DNS server of this machine, or list the members: mongodb://a:27017,b:27017/?tls=true.',
      retry: 'later',
      cause,
    });
  }
}
