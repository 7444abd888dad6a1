/** How to start a server with the data by hand. */
import { shellWord } from '../../base/shell-word.ts';
import type { NativeStep, RunbookWords, SnapshotContents } from '../driver.ts';
import { dumpPath } from './backup.ts';
import type { Settings } from './settings.ts';

export async function nativeSteps(_: SnapshotContents): Promise<NativeStep[]> {
  const file = `.${dumpPath}`;
  return [
    {
      text: 'The file is an RDB file as the server wrote it. Check it (redis-check-rdb comes with the server; valkey-check-rdb with Valkey):',
      command: `redis-check-rdb ${file}`,
    },
    { text: 'Stop the server. Put the file where «dir» and «dbfilename» of its configuration say, for example:' },
    {
      text: 'Usually /var/lib/redis/dump.rdb; set DATA to another directory where that is so.',
      command: `install -m 0640 ${file} "\${DATA:-/var/lib/redis}/dump.rdb"`,
    },
    {
      text: 'The file has to belong to the server’s user (chown redis:redis). Start the server. With «appendonly yes» it would ignore the file: start it once with «appendonly no», then run CONFIG SET appendonly yes.',
    },
  ];
}

export async function runbook({ url, socket }: Settings, _: SnapshotContents, place: string): Promise<RunbookWords> {
  const connection = socket === undefined ? `-u ${shellWord(url)}` : `-s ${shellWord(socket)}`;
  return {
    beside: {
      to: place,
      look: [
        {
          text: 'It is an RDB file that a server can start with; redis-check-rdb (valkey-check-rdb) says «RDB looks OK»:',
          command: `redis-check-rdb ${place}/dump.rdb`,
        },
      ],
    },
    before: [
      {
        text: 'The server keeps running. A database that holds keys is exchanged as one when all keys are there; what it held is kept in another database, which the restore names.',
      },
    ],
    look: [
      {
        text: 'The numbers of keys; set REDISCLI_AUTH to the password first if the server has one:',
        command: `redis-cli ${connection} INFO keyspace`,
      },
    ],
  };
}
