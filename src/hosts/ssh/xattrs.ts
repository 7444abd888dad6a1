/** Extended attributes, through getfattr and setfattr (package `attr`) where they are installed; ACLs are among them, raw. */
import { HoldfastError } from '../../base/errors.ts';
import { decodeName, printableName } from '../../base/names.ts';
import type { ExtendedAttribute, NodeAttributes } from '../../model/node.ts';
import type { FarShell } from './far-shell.ts';

type Unreadable = (path: string, error: unknown) => void;

const read = ['getfattr', '-h', '-d', '-m', '-', '-e', 'hex', '--absolute-names', '--'];

/** Adds them to the entries of a directory, whose path ends with a slash. What cannot be read is told, and does not keep the entry out. */
export async function withXattrs(
  shell: FarShell,
  prefix: string,
  entries: readonly NodeAttributes[],
  unreadable: Unreadable,
): Promise<NodeAttributes[]> {
  const { status, output } = await shell.call(['xattrs', prefix]);
  const found = parseXattrs(output);
  const result: NodeAttributes[] = [];
  for (const entry of entries) {
    // some entry failed: it may only have vanished, so each one without any is asked again
    const again = status !== 0 && !found.has(entry.name);
    const xattrs = again ? await xattrsOf(shell, `${prefix}${entry.name}`, unreadable) : found.get(entry.name);
    result.push(xattrs ? { ...entry, xattrs } : entry);
  }
  return result;
}

/** Of one object; `undefined` if it has none. */
export async function xattrsOf(
  shell: FarShell,
  path: string,
  unreadable: Unreadable,
): Promise<readonly ExtendedAttribute[] | undefined> {
  const { status, output } = await shell.call([...read, path]);
  const [xattrs] = parseXattrs(output).values();
  if (status === 0 || (await shell.call(['gone', path])).status === 0) return xattrs;
  unreadable(
    path,
    new HoldfastError({
      code: 'source.unreadable',
      message: `of ${printableName(path)}, extended attributes cannot be read`,
      remedy: 'Sign in as root, or as a user who may read them. The rest of it is backed up.',
    }),
  );
  return xattrs;
}

/** Sets those given, and tells which of them could not be set. Others stay as they are. */
export async function setXattrs(
  shell: FarShell,
  at: string,
  wanted: readonly ExtendedAttribute[],
  problem: (attribute: string) => void,
): Promise<void> {
  for (const { name, value } of wanted) {
    const argv = ['setfattr', '-h', '-n', name, '-v', `0x${Buffer.from(value).toString('hex')}`, '--', at];
    if ((await shell.call(argv)).status !== 0) problem(name);
  }
}

/** What getfattr prints, by the last component of each path. Line ends, «=» and backslashes in names are octal escapes. */
export function parseXattrs(output: Buffer): Map<string, ExtendedAttribute[]> {
  const found = new Map<string, ExtendedAttribute[]>();
  let current: ExtendedAttribute[] = [];
  for (const line of output.toString('latin1').split('\n')) {
    if (line.startsWith('# file: ')) {
      const path = unescaped(line.slice('# file: '.length));
      current = [];
      found.set(path.slice(path.lastIndexOf('/') + 1), current);
    } else if (line !== '') {
      const [name, value = ''] = line.split('=');
      current.push({ name: unescaped(name), value: Buffer.from(value.replace(/^0x/, ''), 'hex') });
    }
  }
  return found;
}

function unescaped(text: string): string {
  const raw = text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  return decodeName(Buffer.from(raw, 'latin1'));
}
