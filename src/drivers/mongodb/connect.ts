/**
 * Connects to one member, which then serves a whole backup or restore: what it says is one server's view of things. The
 * members are found by asking each for `hello` rather than by the client's own discovery, so that a source behind SSH or
 * in a container works like one here: every connection goes through the host.
 */
import { readFile } from 'node:fs/promises';
import { type Document, MongoClient, type MongoClientOptions } from 'mongodb';
import { HoldfastError, messageOf, throwIfCancelled } from '../../base/errors.ts';
import type { Address } from '../../hosts/host.ts';
import { openTunnel } from '../../hosts/tunnel.ts';
import type { SourceContext } from '../driver.ts';
import { addressOf, nameOf, type Place, placeOf } from './address.ts';
import { failureOf } from './failures.ts';
import type { Settings } from './settings.ts';

type Source = SourceContext<Settings>;

export type Role = 'standalone' | 'primary' | 'secondary';

export interface Member extends AsyncDisposable {
  readonly client: MongoClient;
  /** What errors and snapshots call it. */
  readonly title: string;
  readonly role: Role;
  /** As `buildInfo` says it: `7.0.5`. */
  readonly version: string;
  /** Of the protocol: 13 is MongoDB 5.0. */
  readonly wireVersion: number;
  readonly setName?: string;
  /** Runs a command that must not be refused; `doing` is how errors name it. */
  command(database: string, command: Document, doing?: string): Promise<Document>;
}

/** How long to wait for an answer while connecting. */
const connectMs = 10_000;
/** Names of members that are learnt while asking are asked too; a set has up to 50. */
const mostMembers = 60;

type Preference = Settings['readPreference'];

/** `preference`: defaults to the source's. `host.unreachable`, `source.unreadable`, `source.unsupported`. Aborting the source's signal cuts the connection. */
export async function openMember(
  source: Source,
  preference: Preference = source.settings.readPreference,
): Promise<Member> {
  const place = await placeOf(source.settings);
  const search: Search = { source, place, preference, queue: [...place.seeds], asked: new Set(), unfit: [] };
  try {
    const best = (await findBest(search)) ?? search.fallback;
    if (!best) throw search.unfit.length === 0 && search.failure ? search.failure : nothingFits(search);
    if (best !== search.fallback) await search.fallback?.close();
    return await present(best, place, source);
  } catch (error) {
    await search.fallback?.close();
    throwIfCancelled(source.signal);
    throw error;
  }
}

interface Search {
  readonly source: Source;
  readonly place: Place;
  readonly preference: Preference;
  readonly queue: Address[];
  readonly asked: Set<string>;
  /** Who answered and was not chosen, for people. */
  readonly unfit: string[];
  fallback?: Opened;
  /** The first. */
  failure?: unknown;
}

async function findBest(search: Search): Promise<Opened | undefined> {
  const { place, preference, queue, asked, unfit } = search;
  for (let next = queue.shift(); next && asked.size < mostMembers; next = queue.shift()) {
    if (asked.has(nameOf(next))) continue;
    asked.add(nameOf(next));
    const opened = await tryAddress(search, next);
    if (!opened) continue;
    const fit = await closeUnless(opened, () => fitness(opened, place, preference));
    if (fit === 'best') return opened;
    if (fit === 'fallback' && !search.fallback) search.fallback = opened;
    else await opened.close();
    unfit.push(`${nameOf(next)} is ${opened.role}`);
    queue.push(...opened.others);
  }
  return undefined;
}

async function tryAddress(search: Search, address: Address): Promise<Opened | undefined> {
  const { source, place } = search;
  try {
    return await openAddress(source, place, address);
  } catch (error) {
    if (isFinal(error) || source.signal.aborted) throw error;
    search.failure ??= error;
    return undefined;
  }
}

async function closeUnless<T>(opened: Opened, judge: () => T): Promise<T> {
  try {
    return judge();
  } catch (error) {
    await opened.close();
    throw error;
  }
}

/** Another member would refuse just the same. */
function isFinal(error: unknown): boolean {
  return (
    error instanceof HoldfastError &&
    ['source.unreadable', 'source.unsupported', 'config.invalid', 'cancelled'].includes(error.code)
  );
}

interface Opened {
  readonly client: MongoClient;
  readonly address: Address;
  readonly hello: Document;
  readonly role: Role | 'a router' | 'no member that holds data';
  readonly others: readonly Address[];
  close(): Promise<void>;
}

async function openAddress(source: Source, place: Place, address: Address): Promise<Opened> {
  const options = await clientOptions(source, place, address);
  const tunnel = await reach(source, address);
  const client = new MongoClient(tunnel.url, options);
  const abort = (): void => void client.close(true).catch(() => undefined);
  const close = async (): Promise<void> => {
    source.signal.removeEventListener('abort', abort);
    await client.close(true);
    await tunnel[Symbol.asyncDispose]();
  };
  source.signal.addEventListener('abort', abort, { once: true });
  try {
    throwIfCancelled(source.signal);
    const hello = await client.db('admin').command({ hello: 1 });
    return { client, address, hello, role: roleOf(hello), others: othersOf(hello), close };
  } catch (error) {
    await close();
    throwIfCancelled(source.signal);
    throw failureOf(`mongodb://${nameOf(address)}`, 'to sign in', error);
  }
}

/** This machine's addresses are used as they are; every other host's through a socket of our own in a private directory. */
async function reach({ host, signal }: Source, address: Address): Promise<AsyncDisposable & { url: string }> {
  const urlOf = (name: string): string => `mongodb://${name}/?directConnection=true`;
  // The client would try for a while and then say little: what the host says of the address is worth more.
  (await host.connect(address, signal)).destroy();
  if (host.kind === 'local') {
    const name = 'socketPath' in address ? encodeURIComponent(address.socketPath) : nameOf(address);
    return { url: urlOf(name), [Symbol.asyncDispose]: async () => {} };
  }
  const tunnel = await openTunnel(host, address, { socketName: 'mongodb.sock', signal });
  return {
    url: urlOf(encodeURIComponent(tunnel.socketPath)),
    [Symbol.asyncDispose]: () => tunnel[Symbol.asyncDispose](),
  };
}

async function clientOptions(source: Source, place: Place, address: Address): Promise<MongoClientOptions> {
  const { settings, name } = source;
  const secret = settings.password && (await source.secret(settings.password, `source ${name}`));
  const auth = place.user !== undefined && {
    auth: { username: place.user, ...(secret && { password: secret.reveal() }) },
  };
  const mechanism = place.authMechanism as MongoClientOptions['authMechanism'];
  return {
    ...auth,
    ...(place.authSource !== undefined && { authSource: place.authSource }),
    ...(mechanism && { authMechanism: mechanism }),
    ...(place.tls && (await tlsOptions(settings, address))),
    appName: 'holdfast',
    connectTimeoutMS: connectMs,
    serverSelectionTimeoutMS: connectMs,
    maxPoolSize: 4,
    retryReads: false,
    retryWrites: false,
  };
}

async function tlsOptions({ tls }: Settings, address: Address): Promise<MongoClientOptions> {
  const [ca, own] = await Promise.all([readPem('ca', tls.ca), readPem('certificateKey', tls.certificateKey)]);
  const name = tls.serverName ?? ('socketPath' in address ? 'localhost' : address.host);
  const isName = !/^[\d.]+$|:/.test(name);
  return {
    tls: true,
    ...(ca && { ca }),
    ...(own && { cert: own, key: own }),
    ...(isName && { servername: name }),
  };
}

/** The client would read the files itself, and say nothing of the setting when it cannot. */
async function readPem(setting: 'ca' | 'certificateKey', path: string | undefined): Promise<Buffer | undefined> {
  if (path === undefined) return undefined;
  try {
    return await readFile(path);
  } catch (cause) {
    throw new HoldfastError({
      code: 'config.invalid',
      message: `the file of tls.${setting} cannot be read: ${messageOf(cause)}`,
      remedy: `Correct the path under tls.${setting} of the source, or the rights of the file.`,
      cause,
    });
  }
}

function roleOf(hello: Document): Opened['role'] {
  if (hello.msg === 'isdbgrid') return 'a router';
  if (hello.setName === undefined) return hello.isWritablePrimary === true ? 'standalone' : 'no member that holds data';
  if (hello.isWritablePrimary === true) return 'primary';
  return hello.secondary === true ? 'secondary' : 'no member that holds data';
}

function othersOf({ hosts, passives, primary }: Document): Address[] {
  const lists: unknown[] = [primary, hosts, passives].flat();
  return lists.filter((name) => typeof name === 'string').map(addressOf);
}

function fitness(
  { role, hello }: Opened,
  { replicaSet, title }: Place,
  preference: Preference,
): 'best' | 'fallback' | 'unfit' {
  if (role === 'a router') throw sharded(title);
  if (replicaSet !== undefined && hello.setName !== replicaSet) throw otherSet(title, replicaSet, hello.setName);
  if (role === 'standalone' || (preference === 'nearest' && role !== 'no member that holds data')) return 'best';
  if (role === 'no member that holds data') return 'unfit';
  if (preference.startsWith(role)) return 'best';
  return preference.endsWith('Preferred') ? 'fallback' : 'unfit';
}

async function present({ client, address, hello, role, close }: Opened, place: Place, source: Source): Promise<Member> {
  const title = place.seeds.length === 1 ? place.title : `mongodb://${nameOf(address)}`;
  const command = async (database: string, words: Document, doing = Object.keys(words)[0]): Promise<Document> => {
    try {
      return await client.db(database).command(words);
    } catch (error) {
      throwIfCancelled(source.signal);
      throw failureOf(title, doing, error);
    }
  };
  try {
    const { version } = await command('admin', { buildInfo: 1 });
    return {
      client,
      title,
      role: role as Role,
      version: String(version),
      wireVersion: Number(hello.maxWireVersion),
      ...(hello.setName !== undefined && { setName: String(hello.setName) }),
      command,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function sharded(title: string): HoldfastError {
  return new HoldfastError({
    code: 'source.unsupported',
    message: `${title} is a router of a sharded cluster`,
    remedy: 'Sharded clusters cannot be backed up as one. Name a member of a replica set.',
  });
}

function otherSet(title: string, wanted: string, found: unknown): HoldfastError {
  const is = typeof found === 'string' ? `is of the replica set ${found}` : 'is of no replica set';
  return new HoldfastError({
    code: 'source.unsupported',
    message: `${title} ${is}, not of ${wanted}`,
    remedy: 'Correct replicaSet in the URL of the source.',
  });
}

function nothingFits({ place: { title }, preference, unfit: found }: Search): HoldfastError {
  return new HoldfastError({
    code: 'host.unreachable',
    message: `no member of ${title} fits «${preference}» (${found.join(', ')})`,
    remedy: 'Wait for the replica set to elect a primary, add members to the URL, or set another readPreference.',
    retry: 'later',
  });
}
