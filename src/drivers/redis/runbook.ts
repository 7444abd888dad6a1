/** How to start a server with the data by hand. */
import type { NativeStep, SnapshotContents } from '../driver.ts';
import { dumpPath } from './backup.ts';

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
