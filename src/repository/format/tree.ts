/**
 * Trees: directories as JSON (restic design.rst, "Trees and Data"; fields and their order as in internal/data/node.go), byte
 * for byte what restic writes, so that equal directories are equal blobs whoever stored them.
 */
import { view } from '../../base/bytes.ts';
import { compareNames, decodeName, encodeName } from '../../base/names.ts';
import type { ExtendedAttribute, Node, NodeType } from '../../model/node.ts';
import { goQuote, goString, goUnquote } from './go-json.ts';
import { goTimeFormatter, goTimeNs } from './go-time.ts';
import {
  arrayOf,
  base64Of,
  countOf,
  idOf,
  type JsonObject,
  malformed,
  objectOf,
  parseObject,
  textOf,
} from './malformed.ts';

/** Go's os.FileMode: type and special bits lie above the permissions. */
const typeBits: Record<NodeType, number> = {
  file: 0,
  dir: 0x80000000,
  symlink: 0x08000000,
  dev: 0x04000000,
  chardev: 0x04200000,
  fifo: 0x02000000,
  socket: 0x01000000,
  irregular: 0x00080000,
};
const specialBits = [
  { posix: 0o4000, go: 0x00800000 },
  { posix: 0o2000, go: 0x00400000 },
  { posix: 0o1000, go: 0x00100000 },
];

function goMode(node: Node): number {
  let mode = typeBits[node.type] + (node.mode & 0o777);
  for (const { posix, go } of specialBits) if (node.mode & posix) mode += go;
  return mode;
}

function posixMode(mode: number): number {
  return specialBits.reduce((bits, { posix, go }) => (mode & go ? bits | posix : bits), mode & 0o777);
}

/** Nodes must be sorted by name bytes, each name once. */
export function encodeTree(nodes: readonly Node[]): Uint8Array {
  const time = goTimeFormatter();
  const parts = nodes.map((node, i) => {
    if (i > 0 && compareNames(nodes[i - 1].name, node.name) >= 0) {
      throw new RangeError(`nodes of a tree out of order at «${node.name}»`);
    }
    return encodeNode(node, time);
  });
  return Buffer.from(`{"nodes":[${parts.join(',')}]}\n`, 'utf8');
}

function encodeNode(node: Node, time: (ns: bigint) => string): string {
  const mode = goMode(node);
  let json = `{"name":${goString(goQuote(node.name))},"type":"${node.type}"`;
  if (mode !== 0) json += `,"mode":${mode}`;
  json += `,"mtime":"${time(node.mtimeNs)}","atime":"${time(node.atimeNs)}","ctime":"${time(node.ctimeNs)}"`;
  json += `,"uid":${node.uid},"gid":${node.gid}`;
  if (node.user) json += `,"user":${goString(node.user)}`;
  if (node.group) json += `,"group":${goString(node.group)}`;
  if (node.inode !== 0n) json += `,"inode":${node.inode}`;
  if (node.deviceId !== 0n) json += `,"device_id":${node.deviceId}`;
  if (node.size > 0) json += `,"size":${node.size}`;
  if (node.links > 0) json += `,"links":${node.links}`;
  if (node.linkTarget) json += encodeLinkTarget(node.linkTarget);
  if (node.xattrs?.length) json += `,"extended_attributes":[${node.xattrs.map(encodeXattr).join(',')}]`;
  if (node.device) json += `,"device":${node.device}`;
  json += `,"content":${node.type === 'file' ? encodeContent(node.content) : 'null'}`;
  if (node.subtree !== undefined) json += `,"subtree":"${node.subtree}"`;
  return `${json}}`;
}

function encodeLinkTarget(target: string): string {
  const json = `,"linktarget":${goString(target)}`;
  return target.isWellFormed() ? json : `${json},"linktarget_raw":"${encodeName(target).toString('base64')}"`;
}

function encodeXattr({ name, value }: ExtendedAttribute): string {
  return `{"name":${goString(name)},"value":"${view(value).toString('base64')}"}`;
}

function encodeContent(content: Uint8Array | undefined): string {
  if (!content?.byteLength) return '[]';
  const hex = view(content).toString('hex');
  const ids: string[] = [];
  for (let at = 0; at < hex.length; at += 64) ids.push(hex.slice(at, at + 64));
  return `["${ids.join('","')}"]`;
}

/** `repository.damaged` if it is not a tree. Memory: lists of blob ids are cut out before the JSON is parsed and take 32 bytes an id. */
export function decodeTree(bytes: Uint8Array): Node[] {
  const { json, contents } = cutOutContents(view(bytes));
  const quoted = json.replace(wideNumber, '"$1":"$2"');
  const nodes = arrayOf(parseObject(Buffer.from(quoted), 'a tree').nodes ?? [], 'a tree’s nodes');
  return nodes.map((node) => decodeNode(objectOf(node, 'a node of a tree'), contents));
}

/** Numbers of 64 bits that may not fit a double are quoted before parsing. */
const wideNumber = /"(inode|device_id|device)":(\d{16,20})(?=[,}])/g;
const contentMark = Buffer.from('"content":["');
/** An id with its quotes and comma. */
const idStride = 67;

/** Replaces each list of ids by its number. A quote inside a JSON string is escaped, so the mark cannot occur in a name. */
function cutOutContents(bytes: Buffer): { json: string; contents: Uint8Array[] } {
  const contents: Uint8Array[] = [];
  let json = '';
  let from = 0;
  for (;;) {
    const mark = bytes.indexOf(contentMark, from);
    if (mark < 0) break;
    const first = mark + contentMark.byteLength;
    let end = first + 64;
    while (bytes[end] === 0x22 && bytes[end + 1] === 0x2c && bytes[end + 2] === 0x22) end += idStride;
    json += `${bytes.toString('utf8', from, mark)}"content":${contents.length}`;
    contents.push(decodeIds(bytes, first, end));
    if (bytes[end] !== 0x22 || bytes[end + 1] !== 0x5d) throw malformed('a tree', 'a list of blobs does not end');
    from = end + 2;
  }
  return { json: json + bytes.toString('utf8', from), contents };
}

function decodeIds(bytes: Buffer, first: number, end: number): Uint8Array {
  const ids = Buffer.alloc(((end - 64 - first) / idStride + 1) * 32);
  for (let at = first, to = 0; to < ids.byteLength; at += idStride, to += 32) {
    const hex = bytes.toString('latin1', at, at + 64);
    if (ids.write(hex, to, 32, 'hex') !== 32 || hex !== hex.toLowerCase())
      throw malformed('a tree', 'a blob’s id is not one');
  }
  return ids;
}

function decodeNode(node: JsonObject, contents: readonly Uint8Array[]): Node {
  const type = textOf(node.type, 'a node’s type') as NodeType;
  if (!(type in typeBits)) throw malformed('a tree', `node type «${type.slice(0, 20)}» is not known`);
  const mode = countOf(node.mode, 'a node’s mode', { absent: 0, most: 2 ** 32 - 1 });
  return {
    name: decodeNodeName(node.name),
    type,
    mode: posixMode(mode),
    mtimeNs: time(node.mtime),
    atimeNs: time(node.atime),
    ctimeNs: time(node.ctime),
    uid: countOf(node.uid, 'a node’s uid', { absent: 0 }),
    gid: countOf(node.gid, 'a node’s gid', { absent: 0 }),
    ...(node.user ? { user: textOf(node.user, 'a node’s user') } : {}),
    ...(node.group ? { group: textOf(node.group, 'a node’s group') } : {}),
    inode: wide(node.inode),
    deviceId: wide(node.device_id),
    size: countOf(node.size, 'a node’s size', { absent: 0 }),
    links: countOf(node.links, 'a node’s links', { absent: 0 }),
    ...decodeLinkTarget(node),
    ...(node.extended_attributes ? { xattrs: decodeXattrs(node.extended_attributes) } : {}),
    ...(node.device ? { device: wide(node.device) } : {}),
    ...(type === 'file' ? { content: contentOf(node.content, contents) } : {}),
    ...(node.subtree ? { subtree: idOf(node.subtree, 'a node’s subtree') } : {}),
  };
}

/** A name is one component of a path: anything else would lead a restore astray. */
function decodeNodeName(value: unknown): string {
  const name = goUnquote(textOf(value, 'a node’s name'));
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) {
    throw malformed('a tree', `«${name.slice(0, 40)}» is not a file name`);
  }
  return name;
}

function time(value: unknown): bigint {
  return goTimeNs(textOf(value, 'a node’s time'), 'a node’s time');
}

function wide(value: unknown): bigint {
  if (value === undefined || value === null) return 0n;
  if (typeof value === 'string' && /^\d{1,20}$/.test(value)) return BigInt(value);
  return BigInt(countOf(value, 'a node’s number'));
}

function decodeLinkTarget(node: JsonObject): { linkTarget?: string } {
  if (node.linktarget_raw) return { linkTarget: decodeName(base64Of(node.linktarget_raw, 'a link’s target')) };
  return node.linktarget ? { linkTarget: textOf(node.linktarget, 'a link’s target') } : {};
}

function decodeXattrs(value: unknown): ExtendedAttribute[] {
  return arrayOf(value, 'extended attributes').map((item) => {
    const xattr = objectOf(item, 'an extended attribute');
    const bytes = xattr.value === null || xattr.value === undefined ? '' : xattr.value;
    return {
      name: textOf(xattr.name, 'an extended attribute’s name'),
      value: base64Of(bytes, 'an extended attribute'),
    };
  });
}

function contentOf(value: unknown, contents: readonly Uint8Array[]): Uint8Array {
  if (typeof value === 'number' && contents[value]) return contents[value];
  if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) return new Uint8Array();
  throw malformed('a tree', 'a file’s list of blobs is not one');
}
