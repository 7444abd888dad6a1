/**
 * Everything a restore has to bring back of a directory, as texts that can be compared. Walks on its own and asks getfattr,
 * so that it shares no code, and no mistakes, with what it judges.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { type BigIntStats, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface TreeFacts {
  /** Path → type, mode, owner, size, time, content, target, device, first name of the same inode. Bytes of paths as latin1. */
  readonly objects: ReadonlyMap<string, string>;
  /** Path as getfattr prints it → its attributes, ACLs among them. */
  readonly attributes: ReadonlyMap<string, string>;
}

export function treeFacts(directory: string): TreeFacts {
  const objects = new Map<string, string>();
  const firstNames = new Map<bigint, string>();
  const visit = (path: string): void => {
    const place = Buffer.from(`${Buffer.from(directory).toString('latin1')}${path}`, 'latin1');
    const stat = lstatSync(place, { bigint: true });
    if (!firstNames.has(stat.ino)) firstNames.set(stat.ino, path);
    objects.set(path, objectFacts(place, stat, firstNames.get(stat.ino)!));
    if (!stat.isDirectory()) return;
    const names = readdirSync(place, { encoding: 'buffer' }).sort(Buffer.compare);
    for (const name of names) visit(`${path}/${name.toString('latin1')}`);
  };
  visit('');
  return { objects, attributes: attributesBelow(directory) };
}

function objectFacts(place: Buffer, stat: BigIntStats, firstName: string): string {
  const facts = [`mode ${stat.mode.toString(8)}`, `owner ${stat.uid}:${stat.gid}`, `mtime ${stat.mtimeNs}`];
  if (stat.isFile()) facts.push(`size ${stat.size}`, createHash('sha256').update(readFileSync(place)).digest('hex'));
  if (stat.isSymbolicLink()) facts.push(`target ${readlinkSync(place, 'buffer').toString('latin1')}`);
  if (stat.isBlockDevice() || stat.isCharacterDevice()) facts.push(`device ${stat.rdev}`);
  if (!stat.isDirectory()) facts.push(`same as ${firstName}`);
  return facts.join(', ');
}

function attributesBelow(directory: string): Map<string, string> {
  const args = ['-R', '-P', '-h', '-d', '-m', '-', '-e', 'hex', '.'];
  const dump = execFileSync('getfattr', args, { cwd: directory, encoding: 'latin1' });
  const blocks = dump.split('\n\n').filter((block) => block !== '');
  return new Map(
    blocks.map((block) => {
      const [file, ...lines] = block.split('\n');
      return [file, lines.sort().join('\n')];
    }),
  );
}
