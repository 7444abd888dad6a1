/** How to load the archive by hand. */

import { shellWord } from '../../base/shell-word.ts';
import { factsFolder } from '../../model/snapshot.ts';
import type { NativeStep, RunbookWords, SnapshotContents } from '../driver.ts';
import { dumpPath } from './backup.ts';
import type { Settings } from './settings.ts';

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

export async function runbook({ url }: Settings, _: SnapshotContents, place: string): Promise<RunbookWords> {
  const ask = 'db.adminCommand({ listDatabases: 1 }).databases.forEach((d) => print(d.name, d.sizeOnDisk))';
  return {
    beside: { to: place, look: [{ text: 'It is an archive that mongorestore takes:', command: `ls -l ${place}` }] },
    before: [{ text: 'Collections that are there are not overwritten: rename or drop them, or say «--overwrite».' }],
    look: [{ text: 'The databases are there:', command: `mongosh ${shellWord(url)} --eval ${shellWord(ask)}` }],
  };
}
