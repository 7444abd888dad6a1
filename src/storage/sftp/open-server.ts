/** Opens a directory on an SSH server. */
import { connectLocally } from '../../protocols/connect-locally.ts';
import { showAddress } from '../../protocols/ssh/address.ts';
import { readCredentials } from '../../protocols/ssh/credentials.ts';
import { linksTo, wayThrough } from '../../protocols/ssh/dial.ts';
import type { OpenOptions, Storage } from '../storage.ts';
import { Directory } from './directory.ts';
import { parseSftpUrl, type SftpPlace } from './location.ts';
import { type Connection, Sessions } from './sessions.ts';
import type { SftpSettings } from './settings.ts';
import { SftpStorage } from './sftp-storage.ts';

/** Errors are those of the contract; nothing is connected to unless it is to be made. */
export async function openSftp(url: string, { create, settings, tools }: OpenOptions<SftpSettings>): Promise<Storage> {
  const place = parseSftpUrl(url, settings.port);
  const { signal } = tools;
  const sessions = new Sessions({
    connect: () => connectTo(place, settings, tools),
    place: place.shown,
    most: settings.connections,
    signal,
  });
  const directory = new Directory(place.path, place.shown);
  const storage = new SftpStorage({ location: place.shown, directory, sessions, clock: tools.clock, signal });
  try {
    if (create) await storage.create();
    return storage;
  } catch (error) {
    await storage.close();
    throw error;
  }
}

/** The secrets are read when the first connection is made. */
async function connectTo(
  { address }: SftpPlace,
  settings: SftpSettings,
  { clock, secret }: OpenOptions<SftpSettings>['tools'],
): Promise<Connection> {
  const name = showAddress(address);
  const credentials = await readCredentials(name, settings, secret);
  const ends = { name, credentials, settings, clock, dial: connectLocally };
  const way = settings.jump === undefined ? undefined : wayThrough(settings.jump, ends);
  const links = linksTo({ ...ends, address, dial: way?.dial ?? connectLocally });
  const close = (): void => {
    links.close();
    way?.close();
  };
  return { session: (start, signal) => links.session(start, signal), close };
}
