/** How to load the archive by hand. */
import { factsFolder } from '../../model/snapshot.ts';
import type { NativeStep, SnapshotContents } from '../driver.ts';
import { dumpPath } from './backup.ts';

export async function nativeSteps(contents: SnapshotContents): Promise<NativeStep[]> {
  const replay = (await methodOf(contents)) === 'oplog' ? ' --oplogReplay' : '';
  return [
    {
      text: 'The file is an archive of mongodump. mongorestore (MongoDB Database Tools) loads it; set URI to the server, whose user needs the role «restore». Collections that are there have to be renamed or dropped first.',
      command: `mongorestore --uri "\${URI:-mongodb://127.0.0.1:27017}" --archive=.${dumpPath}${replay}`,
    },
  ];
}

/** How the moment was held; `undefined` where the snapshot does not say. */
async function methodOf(contents: SnapshotContents): Promise<unknown> {
  const path = `/${factsFolder}/source.json`;
  if ((await contents.node(path)) === undefined) return undefined;
  const parts: Uint8Array[] = [];
  for await (const part of contents.read(path)) parts.push(Uint8Array.from(part));
  const facts = JSON.parse(Buffer.concat(parts).toString('utf8')) as { method?: unknown };
  return facts.method;
}
