/** Which server reads which RDB file. Sources: rdb.h of Redis 2.8 to 7.4 and Valkey 7.2 to 8.0; Valkey 9 as it runs. */
import type { RdbHeader } from '../../protocols/redis/rdb-reader.ts';
import type { Product } from '../../protocols/redis/rdb-values.ts';

export interface ServerVersion {
  readonly product: Product;
  /** `7.0.15`. */
  readonly version: string;
}

/** From this version of a server on, the newest RDB version it reads. */
const reads: Readonly<Record<Product, readonly (readonly [string, number])[]>> = {
  redis: [
    ['7.4', 12],
    ['7.2', 11],
    ['7.0', 10],
    ['5.0', 9],
    ['4.0', 8],
    ['3.2', 7],
    ['0', 6],
  ],
  valkey: [
    ['9.0', 80],
    ['0', 11],
  ],
};
/** Numbers that only the other product uses. */
const firstOfRedisAlone = 12;
const firstOfValkeyAlone = 80;

export const serverTitle = ({ product, version }: ServerVersion): string =>
  `${product === 'valkey' ? 'Valkey' : 'Redis'} ${version}`;

/** Of `redis-server --version`. */
export function parseServerVersion(output: string): ServerVersion | undefined {
  const match = /^(Redis|Valkey) server v=(\d+\.\d+\.\d+)/m.exec(output);
  return match ? { product: match[1] === 'Valkey' ? 'valkey' : 'redis', version: match[2] } : undefined;
}

/** Whether a server of this version loads a file with this header, saved by `source` if that is known. */
export function canLoad(server: ServerVersion, file: RdbHeader, source: ServerVersion | undefined): boolean {
  if (source?.product === server.product && compareVersions(server.version, source.version) >= 0) return true;
  const isForeign =
    server.product === 'valkey' ? file.version >= firstOfRedisAlone : file.version >= firstOfValkeyAlone;
  if (isForeign && file.product !== server.product) return false;
  return file.version <= newestRead(server);
}

function newestRead({ product, version }: ServerVersion): number {
  return reads[product].find(([from]) => compareVersions(version, from) >= 0)![1];
}

export function compareVersions(a: string, b: string): number {
  const [x, y] = [a, b].map((text) => text.split('.').map(Number));
  for (let i = 0; i < Math.max(x.length, y.length); i++) {
    const difference = (x[i] ?? 0) - (y[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
