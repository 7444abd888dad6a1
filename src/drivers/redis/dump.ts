/** The data as a snapshot holds it. */
import { HoldfastError } from '../../base/errors.ts';
import type { Node } from '../../model/node.ts';
import { factsFolder } from '../../model/snapshot.ts';
import { type RdbHeader, RdbReader } from '../../protocols/redis/rdb-reader.ts';
import type { SnapshotContents } from '../driver.ts';
import { dumpPath, type SourceFacts, sourceFactsFile } from './backup.ts';
import type { ServerVersion } from './versions.ts';

const mostFactsBytes = 1 << 20;

export interface Dump {
  readonly node: Node;
  readonly header: RdbHeader;
  /** What the server was that it comes from. */
  readonly server: ServerVersion | undefined;
  /** One more than the highest number of a database with keys; unknown without a fingerprint. */
  readonly databases: number | undefined;
}

/** `snapshot.path-missing`; `source.unreadable` if it is no RDB file. */
export async function openDump(contents: SnapshotContents): Promise<Dump> {
  const node = await contents.node(dumpPath);
  if (node?.type !== 'file') {
    throw new HoldfastError({
      code: 'snapshot.path-missing',
      message: `snapshot ${contents.id.slice(0, 8)} holds no ${dumpPath}`,
      remedy: 'Choose a snapshot of a redis source.',
    });
  }
  const facts = await readFacts(contents);
  const { product, version, databases } = facts ?? {};
  const server = product === undefined || version === undefined ? undefined : { product, version };
  return { node, header: await readHeader(contents), server, databases };
}

async function readHeader(contents: SnapshotContents): Promise<RdbHeader> {
  let header: RdbHeader | undefined;
  const reader = new RdbReader({
    header: (found) => {
      header = found;
    },
  });
  for await (const piece of contents.read(dumpPath)) {
    reader.feed(Buffer.from(piece.subarray(0, 9)));
    if (header) return header;
  }
  reader.end();
  return header!;
}

async function readFacts(contents: SnapshotContents): Promise<SourceFacts | undefined> {
  const path = `/${factsFolder}/${sourceFactsFile}`;
  const node = await contents.node(path);
  if (!node || node.size > mostFactsBytes) return undefined;
  const parts: Uint8Array[] = [];
  for await (const part of contents.read(path)) parts.push(Buffer.from(part));
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8')) as SourceFacts;
  } catch {
    return undefined;
  }
}
