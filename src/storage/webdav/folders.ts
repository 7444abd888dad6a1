/** What is in one folder. */
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
export async function readFolder(
  server: WebdavServer,
  { name, doing, signal }: FolderRequest,
): Promise<Folder | undefined> {
  const asked = await propertiesOf(server, { name, doing, signal }, '1');
  return asked && understood(server, doing, () => ({ members: readMembers(asked.xml), nowMs: asked.nowMs }));
}

/** The size of one file, of servers that do not say it otherwise; `undefined` if absent. */
export async function readFileSize(server: WebdavServer, request: FolderRequest): Promise<number | undefined> {
  const asked = await propertiesOf(server, request, '0');
  return asked && understood(server, request.doing, () => readSize(asked.xml));
}

async function propertiesOf(server: WebdavServer, { name, doing, signal }: FolderRequest, depth: '0' | '1') {
  const headers = { depth, 'content-type': 'application/xml; charset=utf-8' };
  const body = [membersQuery];
  const reply = await server.ask({ method: 'PROPFIND', name, doing, headers, body, takes: [207, 404], signal });
  if (reply.status === 404) return undefined;
  return { xml: Buffer.from(reply.body).toString('utf8'), nowMs: parseHttpDate(reply.headers.date ?? '') };
}

function understood<T>(server: WebdavServer, doing: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof XmlError)) throw error;
    const why = `the answer to PROPFIND is not understood: ${error.message}`;
    throw strangeAnswer(askingOf(doing, server.place.shown), why);
  }
}
