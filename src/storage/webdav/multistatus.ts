/** Reads what a server answers to PROPFIND (RFC 4918, 9.1 and 13): members of a folder with their sizes. */
import { readXml, XmlError, type XmlEvent } from '../../protocols/xml/reader.ts';

export interface Member {
  /** The last part of its path, unescaped. */
  readonly name: string;
  readonly isFolder: boolean;
  /** Of a file. */
  readonly sizeBytes: number;
  /** An HTTP date, by the server's clock. */
  readonly modified?: string;
}

/** What asks for what `readMembers` reads. */
export const membersQuery = Buffer.from(
  '<?xml version="1.0" encoding="utf-8"?><D:propfind xmlns:D="DAV:"><D:prop><D:resourcetype/><D:getcontentlength/><D:getlastmodified/></D:prop></D:propfind>',
  'utf8',
);

/** An element of DAV's own within one `response`. */
interface Node {
  readonly name: string;
  readonly children: Node[];
  text: string;
}

/**
 * The members of the folder that was asked for with depth 1, without itself. Throws `XmlError` for an answer of which anything
 * cannot be read: an object that is left out would be taken for lost.
 */
export function readMembers(xml: string): Member[] {
  // What was removed while the list was made is in it with that status.
  const responses = [...responsesIn(readXml(xml))].filter((node) => statusOf(childOf(node, 'status')) !== 404);
  const paths = responses.map(pathOf);
  if (paths.length === 0) throw new XmlError('the folder itself is not in it');
  // Proxies rewrite paths; what all others are in is the folder itself.
  const self = paths.reduce((shortest, path) => (path.length < shortest.length ? path : shortest), paths[0]);
  return responses.flatMap((response, at) => (paths[at] === self ? [] : [memberOf(response, paths[at], self)]));
}

/** The size in an answer to PROPFIND about one file, with depth 0. `XmlError`. */
export function readSize(xml: string): number {
  const [response] = responsesIn(readXml(xml));
  if (!response) throw new XmlError('the file itself is not in it');
  return memberOf(response, '/file', '').sizeBytes;
}

/** One after the other: what is in them is not kept. */
function* responsesIn(events: Iterable<XmlEvent>): Generator<Node> {
  const open: Node[] = [{ name: '', children: [], text: '' }];
  for (const event of events) {
    const inside = open[open.length - 1];
    if (event.kind === 'text') inside.text += event.text;
    if (event.kind === 'open') {
      const node: Node = { name: event.namespace === 'DAV:' ? event.name : '', children: [], text: '' };
      inside.children.push(node);
      open.push(node);
    }
    if (event.kind !== 'close') continue;
    open.pop();
    if (open.length !== 2) continue;
    if (inside.name === 'response') yield inside;
    open[1].children.length = 0;
  }
}

function memberOf(response: Node, path: string, folder: string): Member {
  if (!path.startsWith(`${folder}/`) || path.indexOf('/', folder.length + 1) >= 0) {
    throw new XmlError(`${path} is no member of the folder`);
  }
  const name = path.slice(folder.length + 1);
  const good = response.children.filter(
    (node) => node.name === 'propstat' && statusOf(childOf(node, 'status')) === 200,
  );
  const properties = good.flatMap((node) => childOf(node, 'prop')?.children ?? []);
  const property = (wanted: string): Node | undefined => properties.find((node) => node.name === wanted);
  const isFolder = childOf(property('resourcetype'), 'collection') !== undefined;
  const sizeBytes = isFolder ? 0 : Number(property('getcontentlength')?.text.trim() || Number.NaN);
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) throw new XmlError(`${name} has no size`);
  return { name, isFolder, sizeBytes, modified: property('getlastmodified')?.text };
}

function childOf(node: Node | undefined, name: string): Node | undefined {
  return node?.children.find((child) => child.name === name);
}

/** Unescaped and without a slash at its end. */
function pathOf(response: Node): string {
  const href = childOf(response, 'href')?.text.trim();
  if (href === undefined) throw new XmlError('an entry has no path');
  try {
    return decodeURIComponent(URL.parse(href, 'http://host')?.pathname ?? '%').replace(/\/+$/, '');
  } catch {
    throw new XmlError(`${href.slice(0, 200)} is no path`);
  }
}

/** `HTTP/1.1 200 OK` */
function statusOf(line: Node | undefined): number {
  return Number(/^\s*HTTP\/[\d.]+\s+(\d{3})/.exec(line?.text ?? '')?.[1] ?? 0);
}
