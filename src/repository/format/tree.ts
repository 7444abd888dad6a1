/**
 * Trees: directories as JSON (restic design.rst, "Trees and Data"; fields and their order as in internal/data/node.go), byte
 * for byte what restic writes, so that equal directories are equal blobs whoever stored them.
 */
import { view } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import { compareNames, encodeName, printableName } from '../../base/names.ts';
import { type ExtendedAttribute, idBytes, type Node, type OtherField } from '../../model/node.ts';
import { goMode } from './file-mode.ts';
import { goName, goString } from './go-json.ts';
import { goTimeFormatter } from './go-time.ts';
import { hexIdList } from './hex-digits.ts';
import { JsonReader } from './json-reader.ts';
import { decodeNode } from './tree-node.ts';

type FormatTime = (ns: bigint) => string;

/**
 * A tree of the nodes, which must be sorted by the bytes of their names, each name once; otherwise `internal` is thrown.
 * Memory: twice the tree.
 */
export function encodeTree(nodes: readonly Node[]): Uint8Array {
  const time = goTimeFormatter();
  const parts: Uint8Array[] = [];
  let json = '{"nodes":[';
  nodes.forEach((node, i) => {
    if (i > 0) {
      requireOrder(nodes[i - 1].name, node.name);
      json += ',';
    }
    json += attributesJson(node, time);
    if (node.content && node.content.byteLength > longContent) {
      parts.push(Buffer.from(json, 'utf8'), hexIdList(node.content));
      json = '';
    } else {
      json += contentJson(node);
    }
    json += endJson(node);
    if (json.length > partLength) {
      parts.push(Buffer.from(json, 'utf8'));
      json = '';
    }
  });
  return Buffer.concat([...parts, Buffer.from(`${json}]}\n`, 'utf8')]);
}

/** The nodes in the order they are stored in. `repository.damaged` if it is not a tree. Memory: a few times the tree's bytes. */
export function decodeTree(bytes: Uint8Array): Node[] {
  const reader = new JsonReader(bytes, 'a tree');
  const nodes: Node[] = [];
  reader.object((name) => {
    if (name === 'nodes') reader.list(() => nodes.push(decodeNode(reader)));
    else reader.other();
  });
  reader.end();
  return nodes;
}

/** Texts are turned into bytes when they are this long: while they grow they take several times their length. */
const partLength = 1 << 16;
/** From this many bytes of ids on they are written without a string for each. */
const longContent = 64 * idBytes;
/** Below the surrogates UTF-16 orders as UTF-8 does. */
const firstSurrogate = '\ud800';

function requireOrder(before: string, name: string): void {
  const ascending = before < firstSurrogate && name < firstSurrogate && isSimple(before) && isSimple(name);
  if (ascending ? before < name : compareNames(before, name) < 0) return;
  throw new HoldfastError({
    code: 'internal',
    message: `«${printableName(name)}» is in a directory twice, or its names are not sorted`,
    remedy: 'Nothing was stored of this directory. Please report this with the log.',
  });
}

function isSimple(name: string): boolean {
  return !/[\ud800-\uffff]/.test(name);
}

function attributesJson(node: Node, time: FormatTime): string {
  const mode = goMode(node.type, node.mode);
  let json = `{"name":${goName(node.name)},"type":"${node.type}"`;
  if (mode !== 0) json += `,"mode":${mode}`;
  json += `,"mtime":"${time(node.mtimeNs)}","atime":"${time(node.atimeNs)}","ctime":"${time(node.ctimeNs)}"`;
  json += `,"uid":${node.uid},"gid":${node.gid}`;
  if (node.user) json += `,"user":${goString(node.user)}`;
  if (node.group) json += `,"group":${goString(node.group)}`;
  if (node.inode !== 0n) json += `,"inode":${node.inode}`;
  if (node.deviceId !== 0n) json += `,"device_id":${node.deviceId}`;
  if (node.size > 0) json += `,"size":${node.size}`;
  if (node.links > 0) json += `,"links":${node.links}`;
  if (node.linkTarget) json += linkTargetJson(node.linkTarget);
  if (node.xattrs?.length) json += `,"extended_attributes":[${node.xattrs.map(xattrJson).join(',')}]`;
  if (node.otherFields) json += otherJson(node.otherFields.filter(isGeneric));
  if (node.device) json += `,"device":${node.device}`;
  return `${json},"content":`;
}

/** restic keeps the bytes too where they are not UTF-8 (since 0.16). */
function linkTargetJson(target: string): string {
  const json = `,"linktarget":${goString(target)}`;
  return target.isWellFormed() ? json : `${json},"linktarget_raw":"${encodeName(target).toString('base64')}"`;
}

function xattrJson({ name, value }: ExtendedAttribute): string {
  return `{"name":${goString(name)},"value":"${view(value).toString('base64')}"}`;
}

/** Files have a list, if an empty one; everything else has none. */
function contentJson({ type, content }: Node): string {
  if (!content?.byteLength) return type === 'file' ? '[]' : 'null';
  const hex = view(content).toString('hex');
  let json = `["${hex.slice(0, 2 * idBytes)}"`;
  for (let at = 2 * idBytes; at < hex.length; at += 2 * idBytes) json += `,"${hex.slice(at, at + 2 * idBytes)}"`;
  return `${json}]`;
}

function endJson({ subtree, otherFields }: Node): string {
  const json = subtree === undefined ? '' : `,"subtree":"${subtree}"`;
  return otherFields ? `${json}${otherJson(otherFields.filter((field) => !isGeneric(field)))}}` : `${json}}`;
}

/** The one unknown field that restic knows and that is not its last. */
function isGeneric(field: OtherField): boolean {
  return field.name === 'generic_attributes';
}

function otherJson(fields: readonly OtherField[]): string {
  return fields.map(({ name, json }) => `,${goString(name)}:${json}`).join('');
}
