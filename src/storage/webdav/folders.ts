/** What is in one folder. */
import type { HttpReply } from '../../protocols/http/exchange.ts';
import { XmlError } from '../../protocols/xml/reader.ts';
import { strangeAnswer } from '../http-faults.ts';
import { parseHttpDate } from '../retry.ts';
import { type Member, membersQuery, readMembers, readSize } from './multistatus.ts';
import type { WebdavServer } from './server.ts';
import { askingOf } from './webdav-errors.ts';

export interface Folder {
  readonly members: readonly Member[];
  /** By the server's clock. */
  readonly nowMs?: number;
}

export interface FolderRequest {
  /** Below the repository's folder; of a folder with a slash at its end; empty: that folder itself. */
  readonly name: string;
  readonly doing: string;
  readonly signal?: AbortSignal;
}

/** `undefined` if there is no such folder. Memory: the answer, at most 32 MiB (some 50,000 members), and its members. */
export async function readFolder(server: WebdavServer, request: FolderRequest): Promise<Folder | undefined> {
  return await propertiesOf(server, request, '1', (xml, nowMs) => ({ members: readMembers(xml), nowMs }));
}

/** The size of one file, of servers that do not say it otherwise; `undefined` if absent. */
export async function readFileSize(server: WebdavServer, request: FolderRequest): Promise<number | undefined> {
  return await propertiesOf(server, request, '0', readSize);
}

/** Removes a folder, whose name ends with a slash, and those below it, as far as nothing is in them. The server would remove what is. */
export async function removeEmpty(server: WebdavServer, name: string, signal?: AbortSignal): Promise<void> {
  const doing = 'remove an empty folder';
  const below = (await readFolder(server, { name, doing, signal }))?.members ?? [];
  for (const member of below) if (member.isFolder) await removeEmpty(server, `${name}${member.name}/`, signal);
  const left = below.length === 0 ? { members: [] } : await readFolder(server, { name, doing, signal });
  if (left === undefined || left.members.length > 0) return;
  await server.ask({ method: 'DELETE', name, doing, takes: [200, 202, 204, 404], signal });
}

/**
 * Some servers find out in the middle of their answer that something was removed meanwhile, and break off: what cannot be
 * understood is asked again.
 */
async function propertiesOf<T>(
  server: WebdavServer,
  { name, doing, signal }: FolderRequest,
  depth: '0' | '1',
  read: (xml: string, nowMs: number | undefined) => T,
): Promise<T | undefined> {
  const headers = { depth, 'content-type': 'application/xml; charset=utf-8' };
  let found: T | undefined;
  const check = ({ status, body, headers: answered }: HttpReply): void => {
    const xml = Buffer.from(body).toString('utf8');
    if (status === 207) found = understood(server, doing, () => read(xml, parseHttpDate(answered.date ?? '')));
  };
  const takes = [207, 404];
  await server.ask({ method: 'PROPFIND', name, doing, headers, body: [membersQuery], takes, check, signal });
  return found;
}

function understood<T>(server: WebdavServer, doing: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof XmlError)) throw error;
    const why = `the answer to PROPFIND is not understood: ${error.message}`;
    throw strangeAnswer(askingOf(doing, server.place.shown), why, 'later');
  }
}
