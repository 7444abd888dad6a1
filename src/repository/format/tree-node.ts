/** Reading one node of a tree. */
import { decodeName } from '../../base/names.ts';
import type { ExtendedAttribute, Node, OtherField } from '../../model/node.ts';
import { isNodeType, posixMode } from './file-mode.ts';
import { goUnquote } from './go-json.ts';
import { goTimeNs, goZeroTimeNs } from './go-time.ts';
import type { JsonReader } from './json-reader.ts';
import { unsupported } from './malformed.ts';

/** A node of which not every field was read. All have the same fields in the same order, which keeps them small and fast. */
interface Draft extends Mutable<Node> {
  otherFields: OtherField[] | undefined;
  xattrs: ExtendedAttribute[] | undefined;
}
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** `repository.damaged` if a field is not what it should be. Fields this program does not know are kept. */
export function decodeNode(reader: JsonReader): Node {
  const node = emptyDraft();
  reader.object((name) => {
    const read = fields.get(name);
    if (read) read(node, reader);
    else keepOther(node, name, reader);
  });
  requireFileName(node.name, reader);
  if (node.type === 'file') node.content ??= new Uint8Array();
  return node;
}

function keepOther(node: Draft, name: string, reader: JsonReader): void {
  node.otherFields ??= [];
  node.otherFields.push({ name, json: reader.other() });
}

/** What Go makes of absent fields. */
function emptyDraft(): Draft {
  return {
    name: '',
    type: 'irregular',
    mode: 0,
    mtimeNs: goZeroTimeNs,
    atimeNs: goZeroTimeNs,
    ctimeNs: goZeroTimeNs,
    uid: 0,
    gid: 0,
    user: undefined,
    group: undefined,
    inode: 0n,
    deviceId: 0n,
    size: 0,
    links: 0,
    linkTarget: undefined,
    xattrs: undefined,
    device: undefined,
    content: undefined,
    subtree: undefined,
    otherFields: undefined,
  };
}

const most32 = 2 ** 32 - 1;

const fields = new Map<string, (node: Draft, reader: JsonReader) => unknown>([
  ['name', (node, reader) => (node.name = goUnquote(reader.text()))],
  ['type', (node, reader) => (node.type = readType(reader))],
  ['mode', (node, reader) => (node.mode = posixMode(reader.count(most32)))],
  ['mtime', (node, reader) => (node.mtimeNs = goTimeNs(reader.text(), 'a time in a tree'))],
  ['atime', (node, reader) => (node.atimeNs = goTimeNs(reader.text(), 'a time in a tree'))],
  ['ctime', (node, reader) => (node.ctimeNs = goTimeNs(reader.text(), 'a time in a tree'))],
  ['uid', (node, reader) => (node.uid = reader.count(most32))],
  ['gid', (node, reader) => (node.gid = reader.count(most32))],
  ['user', (node, reader) => (node.user = reader.text())],
  ['group', (node, reader) => (node.group = reader.text())],
  ['inode', (node, reader) => (node.inode = reader.wide())],
  ['device_id', (node, reader) => (node.deviceId = reader.wide())],
  ['size', (node, reader) => (node.size = reader.count())],
  ['links', (node, reader) => (node.links = reader.count())],
  ['linktarget', readLinkTarget],
  ['linktarget_raw', (node, reader) => (node.linkTarget = decodeName(reader.base64()))],
  ['extended_attributes', (node, reader) => (node.xattrs = readXattrs(reader))],
  ['device', (node, reader) => (node.device = reader.wide())],
  ['content', (node, reader) => (node.content = reader.ids())],
  ['subtree', (node, reader) => (node.subtree = reader.id())],
]);

/** Where the bytes of the target were read before, they count: this is what of them is UTF-8. */
function readLinkTarget(node: Draft, reader: JsonReader): void {
  const target = reader.text();
  node.linkTarget ??= target;
}

function readType(reader: JsonReader): Node['type'] {
  const type = reader.text();
  if (!isNodeType(type))
    throw unsupported(`a tree has an object of the type «${type.slice(0, 20)}», which is not known`);
  return type;
}

function readXattrs(reader: JsonReader): ExtendedAttribute[] {
  const xattrs: ExtendedAttribute[] = [];
  reader.list(() => {
    const xattr: { name: string; value: Uint8Array } = { name: '', value: new Uint8Array() };
    reader.object((name) => {
      if (name === 'name') xattr.name = reader.text();
      else if (name === 'value') xattr.value = reader.base64();
      else reader.other();
    });
    xattrs.push(xattr);
  });
  return xattrs;
}

/** A name is one component of a path: anything else would lead a restore astray. */
function requireFileName(name: string, reader: JsonReader): void {
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) {
    throw reader.malformed(`«${name.slice(0, 40)}» is not a file name`);
  }
}
